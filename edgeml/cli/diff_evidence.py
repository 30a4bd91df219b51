"""What `edgeml diff` tells of the evidence for artifacts: a table, and lines for what it has no room for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.table import Table

from edgeml.cli.output import printable
from edgeml.core.records.evidence import SIGNIFICANCE_LEVEL

if TYPE_CHECKING:
    from edgeml.core.records.evidence import WorstClass
    from edgeml.package.diff import ArtifactDiff, Figures, RecallChange

__all__ = ["evidence_notes", "evidence_table"]

_WIDTH = 16
_SHOWN = 5


def evidence_table(artifacts: Iterable[ArtifactDiff]) -> Table | None:
    """Two rows for each artifact that both packages hold and that changed, old above new; None without figures.

    A dash stands for what is not there; `evidence_notes` says where one package alone lacks it.
    """
    pairs = [(one.recipe, one.old, one.new) for one in artifacts if one.old and one.new and one.old != one.new]
    rows = [
        (recipe if side is old else "", "old" if side is old else "new", _cells(side))
        for recipe, old, new in pairs
        for side in (old, new)
    ]
    titles = [title for title in rows[0][2] if any(cells[title] != "-" for _, _, cells in rows)] if rows else []
    if not titles:
        return None
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title in ("by its source", "", *titles):
        left = title in {"by its source", "", "worst class"}
        table.add_column(title, justify="left" if left else "right", no_wrap=True)
    for recipe, side, cells in rows:
        table.add_row(recipe, side, *(cells[title] for title in titles))
    return table


def _cells(side: Figures) -> dict[str, str]:
    def cell(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    return {
        "agree": cell(side.agreement, ".2%"),
        "flips": "-" if side.flips is None else f"{side.flips}/{side.samples}",
        "McNemar p": cell(side.mcnemar_p, ".2g"),
        "ECE": cell(side.ece, ".2%"),
        "MAE rise": cell(side.error_rise, "+.3g"),
        "worst class": "-" if side.worst_class is None else _worst(side.worst_class),
    }


def _worst(found: WorstClass) -> str:
    if found.recall >= found.source_recall:
        return "none"
    return f"{_name(found.label)} {found.source_recall:.1%} -> {found.recall:.1%}"


def evidence_notes(found: ArtifactDiff) -> Iterator[str]:
    """Whether chance became unlikely or likely, which classes moved, and what one package lacks."""
    if found.old is None or found.new is None:
        return
    before, after = found.old.mcnemar_p, found.new.mcnemar_p
    if before is not None and after is not None and (before < SIGNIFICANCE_LEVEL) != (after < SIGNIFICANCE_LEVEL):
        told = [
            f"{'significant' if p < SIGNIFICANCE_LEVEL else 'not significant'} (p = {p:.2g})" for p in (before, after)
        ]
        yield f"{found.recipe} errs otherwise than its source, by McNemar: {told[0]} -> {told[1]}"
    if found.recalls is not None and found.recalls.moved:
        shown = "; ".join(map(_moved, found.recalls.classes[:_SHOWN]))
        more = "; …" if found.recalls.moved > _SHOWN else ""
        yield f"{found.recipe}: the recall of {found.recalls.moved} classes is another: {shown}{more}"
    for which, names in (("old", found.missing_old), ("new", found.missing_new)):
        if names:
            yield f"{found.recipe}: missing in the {which} package: {', '.join(names)}"


def _moved(change: RecallChange) -> str:
    old, new = ("missing" if value is None else f"{value:.1%}" for value in (change.old, change.new))
    return f"{_name(change.label)} {old} -> {new}"


def _name(label: object) -> str:
    text = str(label)
    return printable(text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…")
