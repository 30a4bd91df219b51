"""Comparison of two packages' evidence: the recall of classes, and figures that are missing in one package."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from edgeml.core.records.evidence_details import ClassRecall, Evidence
from edgeml.package.diff.manifests import typed
from edgeml.package.diff.values import ArtifactDiff, Figures, RecallChange, RecallsDiff

__all__ = ["add_evidence"]

_MAX_CLASSES = 20
_NAMES = {
    "drop": "drop",
    "sqnr_db": "SQNR",
    "agreement": "agreement",
    "flips": "flips",
    "mcnemar_p": "McNemar's p",
    "ece": "ECE",
    "worst_class": "worst class",
    "error_rise": "rise of MAE",
    "median_ms": "latency",
}
"""Figures that not every artifact has, by their field in `Figures`."""


def add_evidence(artifact: ArtifactDiff, old: Evidence | None, new: Evidence | None) -> ArtifactDiff:
    """Return a comparison with the changes of two evidence files, and the names of figures missing in one package.

    Args:
        artifact: Comparison of an artifact that both packages contain.
        old: Evidence of the artifact in the old package.
        new: Evidence of the artifact in the new package.
    """
    before, after = (set(_figure_names(*side)) for side in ((artifact.old, old), (artifact.new, new)))
    return replace(
        artifact,
        recalls=_recalls(old, new),
        missing_old=tuple(name for name in _figure_names(artifact.new, new) if name not in before),
        missing_new=tuple(name for name in _figure_names(artifact.old, old) if name not in after),
    )


def _figure_names(figures: Figures | None, evidence: Evidence | None) -> Iterator[str]:
    if figures is not None and figures.metric is not None:
        yield figures.metric
    yield from (name for field, name in _NAMES.items() if getattr(figures, field, None) is not None)
    if evidence is not None and evidence.recalls:
        yield "recall of classes"


def _recalls(old: Evidence | None, new: Evidence | None) -> RecallsDiff | None:
    sides = [
        {typed(recall.label): recall for recall in evidence.recalls} if evidence else {} for evidence in (old, new)
    ]
    if not all(sides):
        return None
    before, after = sides
    changes = (RecallChange(key[1], _recall(before.get(key)), _recall(after.get(key))) for key in {**before, **after})
    moved = [change for change in changes if change.old != change.new]
    moved.sort(key=_distance, reverse=True)
    return RecallsDiff(len(moved), tuple(moved[:_MAX_CLASSES]))


def _recall(recall: ClassRecall | None) -> float | None:
    return None if recall is None else recall.artifact


def _distance(change: RecallChange) -> float:
    """Return the size of a change; classes that one package does not know come last."""
    return -1.0 if change.old is None or change.new is None else abs(change.new - change.old)
