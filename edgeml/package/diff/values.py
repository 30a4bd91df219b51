"""The values that a comparison of two packages gives."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from edgeml.core.records.benchmark_results import Measurement
from edgeml.core.records.evidence import WorstClass
from edgeml.core.tensors import Label

__all__ = [
    "ArtifactDiff",
    "Change",
    "Figures",
    "Flip",
    "LabelsDiff",
    "MeasuredDiff",
    "PackageDiff",
    "PredictionDiff",
    "RecallChange",
    "RecallsDiff",
]


class Change(Struct, frozen=True):
    """One thing that is not the same in both packages.

    Attributes:
        what: Its name.
        old: What it was, as text; None where it was not there. `new`: what it is.
    """

    what: str
    old: str | None
    new: str | None


class LabelsDiff(Struct, frozen=True):
    """How the labels changed.

    Attributes:
        added: Labels that only the new package has, in its order. `removed`: that only the old one has.
        moved: Labels of both whose position among the scores is another one, in the new order.
    """

    added: tuple[Label, ...] = ()
    removed: tuple[Label, ...] = ()
    moved: tuple[Label, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the labels and their order are the same."""
        return not (self.added or self.removed or self.moved)


class Figures(Struct, frozen=True):
    """What one package says of an artifact.

    Attributes:
        status: ``released``, ``rejected``, or ``refused`` where the recipe was asked for and not made.
        reasons: Why it was rejected or refused.
        size_bytes: The artifact's size. This and the rest are None where it was refused or not measured.
        metric: Name of the task's main metric. `value`: the artifact's.
        drop: How far it fell below the source's.
        sqnr_db: Its parity with the source.
        median_ms: Latency of one sample. `p95_ms`: the 95th percentile.
        samples: How many it was judged on.
        agreement: Share of them that get the source's label, ties left out. `flips`: how many get another one.
        mcnemar_p: Of McNemar's exact test against the source: below 0.05 a difference is seldom chance.
        ece: Expected calibration error of its top probability.
        worst_class: The class whose recall fell most below the source's.
        error_rise: How far the mean absolute error rose above the source's.
    """

    status: Literal["released", "rejected", "refused"]
    reasons: tuple[str, ...] = ()
    size_bytes: int | None = None
    metric: str | None = None
    value: float | None = None
    drop: float | None = None
    sqnr_db: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    samples: int | None = None
    agreement: float | None = None
    flips: int | None = None
    mcnemar_p: float | None = None
    ece: float | None = None
    worst_class: WorstClass | None = None
    error_rise: float | None = None


class RecallChange(Struct, frozen=True):
    """The recall of a class by the old and the new artifact; None where a package does not know it."""

    label: Label
    old: float | None
    new: float | None


class RecallsDiff(Struct, frozen=True):
    """How the recall of classes changed.

    Attributes:
        moved: Of how many classes it is another one, or known to one package alone.
        classes: The first of them, the largest move first.
    """

    moved: int
    classes: tuple[RecallChange, ...]


class ArtifactDiff(Struct, frozen=True):
    """How the artifact of one recipe changed.

    Attributes:
        recipe: Its recipe.
        old: What the old package says of it, None where it says nothing. `new`: and the new package.
        same_bytes: Whether both packages hold the very same model file.
        tensors: Changed names, order, shapes and dtypes of its inputs and outputs.
        quantization: Changed scales, zero points and encodings of them.
        needs: Changed needs: engine, its least version, opset, operators, CPU features.
        new_needs: Those of them that the old artifact did not have, in words.
        recalls: Changed recall of classes; None where one package or both do not tell it.
        missing_old: Names of figures that the new package has of the artifact, and the old one not.
        missing_new: Of those that the old one has, and the new one not.
    """

    recipe: str
    old: Figures | None
    new: Figures | None
    same_bytes: bool = False
    tensors: tuple[Change, ...] = ()
    quantization: tuple[Change, ...] = ()
    needs: tuple[Change, ...] = ()
    new_needs: tuple[str, ...] = ()
    recalls: RecallsDiff | None = None
    missing_old: tuple[str, ...] = ()
    missing_new: tuple[str, ...] = ()


class Flip(Struct, frozen=True):
    """A sample that gets another label.

    Attributes:
        sample: Its name: ``golden 3``, ``old golden 3``, ``new golden 3``, or ``row 3`` of the inputs given.
        old: The old artifact's label. `new`: the new one's.
    """

    sample: str
    old: Label
    new: Label


class PredictionDiff(Struct, frozen=True):
    """How the answers of one recipe's artifact changed on the same inputs.

    Attributes:
        recipe: Its recipe.
        status: ``ran``; ``same`` where both packages hold the same model file and labels, so that there is
            nothing to run; ``not run``.
        detail: Why it was not run.
        samples: How many inputs both artifacts ran.
        flipped: On how many of them the label is another one; None for models without labels.
        flips: The first of them.
        max_difference: The largest absolute difference of the outputs that both have in one shape, in the
            source's own units; None where there is no such output.
    """

    recipe: str
    status: Literal["ran", "same", "not run"]
    detail: str = ""
    samples: int = 0
    flipped: int | None = None
    flips: tuple[Flip, ...] = ()
    max_difference: float | None = None


class MeasuredDiff(Struct, frozen=True):
    """What was measured of an artifact in one setting on one machine.

    Attributes:
        machine: Its name, or its processor.
        old: The last measurement of the old package, without its times; None where it was not measured so.
        new: Of the new one.
    """

    machine: str
    old: Measurement | None
    new: Measurement | None


class PackageDiff(Struct, frozen=True):
    """What changed from an old package to a new one.

    Attributes:
        same: Whether the two files are the same, byte for byte.
        old_digest: Digest of the whole old file. `new_digest`: of the new one.
        identity: Changes of what the packages are: name, version, source, task, licence, goal, tools …
        labels: Changes of the labels.
        signature: Changes of the source's inputs and outputs, which are those of every session.
        preprocessing: Changes of what raw input becomes, by input.
        artifacts: One for each recipe that either package knows of.
        predictions: One for each artifact that both packages hold.
        compatible: Whether the new package can take the old one's place: same inputs, outputs, labels and
            preprocessing, every released artifact still released, and no new need.
        reasons: Why it cannot.
        remarks: What else to look at before an update.
        measured: What benchmarks found, where their results were given.
    """

    same: bool
    old_digest: str
    new_digest: str
    identity: tuple[Change, ...]
    labels: LabelsDiff
    signature: tuple[Change, ...]
    preprocessing: tuple[Change, ...]
    artifacts: tuple[ArtifactDiff, ...]
    predictions: tuple[PredictionDiff, ...]
    compatible: bool
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]
    measured: tuple[MeasuredDiff, ...] = ()
