"""Tables of text that never lose a figure, on narrow terminals and in pipes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table

from edgeml.cli.output import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_columns"]


def print_columns(
    output: Console,
    columns: Mapping[str, Sequence[str]],
    *,
    keys: Collection[str],
    keep: Collection[str] = (),
    left: Collection[str] = (),
    gap: int = 1,
    styles: Sequence[str | None] = (),
) -> None:
    """Print a table, one line per row.

    A table that is wider than the terminal first loses columns that are the same in all rows: these are named once,
    in a line below. If that is not enough, the remaining columns follow in further tables. Nothing is left out or
    broken where the output is not a terminal.

    Args:
        output: The console to print to.
        columns: Cells by title, all of one length.
        keys: Titles of the columns that name a row: the first ones, repeated in each further table.
        keep: Titles of other columns that stay in the table even if they are the same in all rows.
        left: Titles of the columns that are aligned on the left; the others are numbers.
        gap: Spaces between columns.
        styles: Style of each row; none for plain rows.
    """
    shown = {printable(title): [printable(cell) for cell in cells] for title, cells in columns.items()}
    constants: dict[str, str] = {}
    width = output.width if output.is_terminal else max(output.width, _width(shown, gap))
    for title in reversed(list(shown)):
        if _width(shown, gap) <= width:
            break
        cells = shown[title]
        if title not in {*keys, *keep} and len(cells) > 1 and len(set(cells)) == 1:
            constants[title] = cells[0]
            del shown[title]
    for titles in _groups(shown, keys, width, gap):
        table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
        for title in titles:
            table.add_column(title, justify="left" if title in {*keys, *left} else "right", no_wrap=True)
        for i, row in enumerate(zip(*(shown[title] for title in titles), strict=True)):
            table.add_row(*row, style=styles[i] if styles else None)
        output.width = max(width, _width({title: shown[title] for title in titles}, gap))  # else cells are cut
        output.print(table)
    if constants:
        pairs = ", ".join(f"{title} {cell}" for title, cell in reversed(constants.items()))
        output.print(f"The same in all rows: {pairs}", soft_wrap=True)


def _width(columns: Mapping[str, Sequence[str]], gap: int) -> int:
    """Return the width of a table in cells of the terminal."""
    return sum(max(map(cell_len, [title, *cells])) + gap for title, cells in columns.items()) - gap


def _groups(columns: Mapping[str, Sequence[str]], keys: Collection[str], width: int, gap: int) -> Iterator[list[str]]:
    """Yield the titles of each table, the keys first, so that each fits the width if its columns can."""
    names = [title for title in columns if title in keys]
    group = list(names)
    for title in columns:
        if title in keys:
            continue
        if len(group) > len(names) and _width({name: columns[name] for name in [*group, title]}, gap) > width:
            yield group
            group = list(names)
        group.append(title)
    yield group
