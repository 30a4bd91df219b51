"""What changed by the two packages' evidence: the recall of classes, and figures that one of them lacks."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from edgeml.core.records.evidence_details import ClassRecall, Evidence
from edgeml.package.diff.manifests import typed
from edgeml.package.diff.values import ArtifactDiff, Figures, RecallChange, RecallsDiff

__all__ = ["with_evidence"]

_NAMED = 20
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
"""What is not known of every artifact, by its field in `Figures`."""


def with_evidence(found: ArtifactDiff, old: Evidence | None, new: Evidence | None) -> ArtifactDiff:
    """The same with what two evidence files say, and with the names of what one package lacks.

    Args:
        found: Of an artifact that both packages hold.
        old: The old package's evidence of it.
        new: The new one's.
    """
    before, after = (set(_known(*side)) for side in ((found.old, old), (found.new, new)))
    return replace(
        found,
        recalls=_recalls(old, new),
        missing_old=tuple(name for name in _known(found.new, new) if name not in before),
        missing_new=tuple(name for name in _known(found.old, old) if name not in after),
    )


def _known(figures: Figures | None, evidence: Evidence | None) -> Iterator[str]:
    if figures is not None and figures.metric is not None:
        yield figures.metric
    yield from (name for field, name in _NAMES.items() if getattr(figures, field, None) is not None)
    if evidence is not None and evidence.recalls:
        yield "recall of classes"


def _recalls(old: Evidence | None, new: Evidence | None) -> RecallsDiff | None:
    sides = [{typed(one.label): one for one in evidence.recalls} if evidence else {} for evidence in (old, new)]
    if not all(sides):
        return None
    before, after = sides
    changes = (RecallChange(key[1], _recall(before.get(key)), _recall(after.get(key))) for key in {**before, **after})
    moved = [change for change in changes if change.old != change.new]
    moved.sort(key=_move, reverse=True)
    return RecallsDiff(len(moved), tuple(moved[:_NAMED]))


def _recall(found: ClassRecall | None) -> float | None:
    return None if found is None else found.artifact


def _move(change: RecallChange) -> float:
    """How far; what one of them does not know, comes last."""
    return -1.0 if change.old is None or change.new is None else abs(change.new - change.old)
