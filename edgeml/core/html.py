"""HTML of values for notebooks, with every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgeml.core.system.text import printable

__all__ = ["html_table"]

_MAX_ROWS = 50
_MAX_CELL = 200


def html_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as HTML.

    Args:
        caption: Text above the table; names from packages may be part of it, since all text is escaped.
        header: Titles of the columns.
        rows: Cells of each row, as text.

    Example:
        >>> html_table("digits 1.0.0", ["recipe"], [["tflite-int8"]])
        '<table><caption>digits 1.0.0</caption><thead>...'
    """
    head = "".join(f"<th>{_escape(title)}</th>" for title in header)
    lines = ["".join(f"<td>{_escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines[:_MAX_ROWS])
    if len(lines) > _MAX_ROWS:
        body += f'<tr><td colspan="{len(header)}">{len(lines) - _MAX_ROWS} more rows</td></tr>'
    return (
        f'<table><caption style="text-align: left">{_escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _escape(text: str) -> str:
    import html

    text = printable(text)
    return html.escape(text if len(text) <= _MAX_CELL else f"{text[:_MAX_CELL]}…")
