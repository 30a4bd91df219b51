"""Evidence for artifacts in the output of `edgeml diff`: a table, and lines for what does not fit into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from edgeml.cli.columns import print_columns
from edgeml.cli.output import printable
from edgeml.core.records.evidence import SIGNIFICANCE_LEVEL

if TYPE_CHECKING:
    from rich.console import Console

    from edgeml.core.records.evidence import WorstClass
    from edgeml.package.diff import ArtifactDiff, Figures, RecallChange

__all__ = ["evidence_notes", "print_evidence"]

_WIDTH = 16
_SHOWN = 5


def print_evidence(output: Console, artifacts: Iterable[ArtifactDiff]) -> None:
    """Print two rows for each artifact that both packages hold and that changed, old above new.

    A dash stands for a figure that a package does not have; `evidence_notes` says where only one package lacks it.
    """
    pairs = [(item.recipe, item.old, item.new) for item in artifacts if item.old and item.new and item.old != item.new]
    cells = [_cells(side) for _, *sides in pairs for side in sides]
    titles = [title for title in cells[0] if any(row[title] != "-" for row in cells)] if cells else []
    if not titles:
        return
    columns = {
        "by its source": [name for recipe, *_ in pairs for name in (recipe, "")],
        "": ["old", "new"] * len(pairs),
        **{title: [row[title] for row in cells] for title in titles},
    }
    print_columns(output, columns, keys={"by its source", ""}, left={"worst class"})


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


def _worst(worst: WorstClass) -> str:
    if worst.recall >= worst.source_recall:
        return "none"
    return f"{_name(worst.label)} {worst.source_recall:.1%} -> {worst.recall:.1%}"


def evidence_notes(artifact: ArtifactDiff) -> Iterator[str]:
    """Yield changes of significance, classes whose recall changed, and figures that one package lacks."""
    if artifact.old is None or artifact.new is None:
        return
    before, after = artifact.old.mcnemar_p, artifact.new.mcnemar_p
    if before is not None and after is not None and (before < SIGNIFICANCE_LEVEL) != (after < SIGNIFICANCE_LEVEL):
        old, new = (
            f"{'significant' if p < SIGNIFICANCE_LEVEL else 'not significant'} (p = {p:.2g})" for p in (before, after)
        )
        yield f"{artifact.recipe} differs from its source in accuracy, by McNemar's test: {old} -> {new}"
    if artifact.recalls is not None and artifact.recalls.moved:
        shown = "; ".join(map(_moved, artifact.recalls.classes[:_SHOWN]))
        more = "; …" if artifact.recalls.moved > _SHOWN else ""
        yield f"{artifact.recipe}: the recall of {artifact.recalls.moved} classes changed: {shown}{more}"
    for which, names in (("old", artifact.missing_old), ("new", artifact.missing_new)):
        if names:
            yield f"{artifact.recipe}: missing in the {which} package: {', '.join(names)}"


def _moved(change: RecallChange) -> str:
    old, new = ("missing" if value is None else f"{value:.1%}" for value in (change.old, change.new))
    return f"{_name(change.label)} {old} -> {new}"


def _name(label: object) -> str:
    text = str(label)
    return printable(text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…")
