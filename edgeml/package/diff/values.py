"""Values of a comparison of two packages."""

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
    """A property that differs between two packages.

    Attributes:
        what: Name of the property.
        old: Value in the old package, as text; None if the old package does not have it.
        new: Value in the new package, as text; None if the new package does not have it.
    """

    what: str
    old: str | None
    new: str | None


class LabelsDiff(Struct, frozen=True):
    """Changes of the labels.

    Attributes:
        added: Labels of the new package only, in its order.
        removed: Labels of the old package only, in its order.
        moved: Labels of both packages whose position among the scores changed, in the new order.
    """

    added: tuple[Label, ...] = ()
    removed: tuple[Label, ...] = ()
    moved: tuple[Label, ...] = ()

    @property
    def same(self) -> bool:
        """True if labels and their order are the same."""
        return not (self.added or self.removed or self.moved)


class Figures(Struct, frozen=True):
    """Figures of an artifact in one of the packages; None for figures that the package does not contain.

    Attributes:
        status: ``released``, ``rejected``, or ``refused`` if the recipe was requested and refused.
        reasons: Reasons of a rejection or refusal.
        size_bytes: Size of the model file.
        metric: Name of the task's main metric.
        value: Value of the main metric.
        drop: Drop of the main metric below the source's value.
        sqnr_db: Signal to quantization-noise ratio against the source, in decibels.
        median_ms: Median latency of one sample.
        p95_ms: 95th percentile of the latency of one sample.
        samples: Number of samples that the artifact was judged on.
        agreement: Share of the samples with the source's label, without ties.
        flips: Number of samples whose label differs from the source's.
        mcnemar_p: p-value of McNemar's exact test against the source.
        ece: Expected calibration error of the top probability.
        worst_class: The class with the largest drop of recall below the source's.
        error_rise: Rise of the mean absolute error above the source's.
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
    """Recall of a class.

    Attributes:
        label: The class.
        old: Recall of the old artifact; None if the old package does not contain it.
        new: Recall of the new artifact; None if the new package does not contain it.
    """

    label: Label
    old: float | None
    new: float | None


class RecallsDiff(Struct, frozen=True):
    """Changes of the recall of classes.

    Attributes:
        moved: Number of classes whose recall changed, or is known in one package only.
        classes: The largest changes, in descending order.
    """

    moved: int
    classes: tuple[RecallChange, ...]


class ArtifactDiff(Struct, frozen=True):
    """Changes of the artifact of one recipe.

    Attributes:
        recipe: The recipe.
        old: Figures in the old package; None if the old package does not mention the recipe.
        new: Figures in the new package; None if the new package does not mention the recipe.
        same_bytes: Whether both packages contain the same model file.
        tensors: Changed names, order, shapes and dtypes of inputs and outputs.
        quantization: Changed scales, zero points and encodings of inputs and outputs.
        needs: Changed needs: engine, its minimum version, opset, operators, CPU features.
        new_needs: Needs that the old artifact does not have, as text.
        recalls: Changed recall of classes; None if a package does not contain it.
        missing_old: Names of figures that only the new package contains.
        missing_new: Names of figures that only the old package contains.
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
    """A sample whose label changed.

    Attributes:
        sample: Name of the sample: ``golden 3``, ``old golden 3``, ``new golden 3``, or ``row 3`` of the caller's
            inputs.
        old: Label of the old artifact.
        new: Label of the new artifact.
    """

    sample: str
    old: Label
    new: Label


class PredictionDiff(Struct, frozen=True):
    """Changes of an artifact's outputs on the same inputs.

    Attributes:
        recipe: The artifact's recipe.
        status: ``ran``; ``same`` if both packages contain the same model file and labels, so that nothing was run;
            ``not run``.
        detail: Reason why the artifacts were not run.
        samples: Number of inputs that both artifacts ran.
        flipped: Number of samples whose label changed; None for models without labels.
        flips: The first changed labels.
        max_difference: Largest absolute difference of outputs of the same shape, in the source's own units; None
            without such outputs.
    """

    recipe: str
    status: Literal["ran", "same", "not run"]
    detail: str = ""
    samples: int = 0
    flipped: int | None = None
    flips: tuple[Flip, ...] = ()
    max_difference: float | None = None


class MeasuredDiff(Struct, frozen=True):
    """Measurements of an artifact in one setting on one machine.

    Attributes:
        machine: Name of the machine, or its processor.
        old: Last measurement of the old package, without its times; None without a measurement.
        new: Last measurement of the new package, without its times; None without a measurement.
    """

    machine: str
    old: Measurement | None
    new: Measurement | None


class PackageDiff(Struct, frozen=True):
    """Changes from an old package to a new package.

    Attributes:
        same: Whether the two files are the same, byte for byte.
        old_digest: Digest of the whole old file.
        new_digest: Digest of the whole new file.
        identity: Changes of the packages' identity: name, version, source, task, license, goal, tools …
        labels: Changes of the labels.
        signature: Changes of the source's inputs and outputs, which are also those of every session.
        preprocessing: Changes of the preprocessing of raw input, by input.
        artifacts: Changes of each recipe that either package contains or refused.
        predictions: Changes of the outputs of each artifact that both packages contain.
        compatible: Whether the new package can replace the old one: same inputs, outputs, labels and preprocessing,
            every released artifact still released, and no new needs.
        reasons: Reasons why the packages are not compatible.
        remarks: Other changes to look at before an update.
        measured: Changes of benchmark results, if results were passed.
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

    def __repr__(self) -> str:
        if self.same:
            return f"<PackageDiff: the packages are the same, {self.new_digest[:19]}…>"
        reasons = f", {len(self.reasons)} reasons" if self.reasons else ""
        changed = sum(not artifact.same_bytes for artifact in self.artifacts)
        return (
            f"<PackageDiff: {'compatible' if self.compatible else 'not compatible'}{reasons}; {changed} of "
            f"{len(self.artifacts)} artifacts changed>"
        )

    def _repr_html_(self) -> str:
        from edgeml.core.html import html_table

        rows = [["not compatible", reason] for reason in self.reasons]
        rows += [["remark", remark] for remark in self.remarks]
        changes = (*self.identity, *self.signature, *self.preprocessing)
        rows += [[change.what, f"{change.old or 'none'} → {change.new or 'none'}"] for change in changes]
        for artifact in self.artifacts:
            old, new = (side.status if side is not None else "none" for side in (artifact.old, artifact.new))
            changed = "same file" if artifact.same_bytes else "file changed"
            rows.append([artifact.recipe, f"{changed}, {old if old == new else f'{old} → {new}'}"])
        caption = "The packages are the same." if self.same else "compatible" if self.compatible else "not compatible"
        return html_table(caption, ["change", "details"], rows)
