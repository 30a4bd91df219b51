"""Details of an artifact's evaluation, as stored in its evidence file.

All counts are bounded, so that files stay readable for any number of classes and samples.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from edgeml.core.records.evidence import Fidelity, Metrics, WorstClass
from edgeml.core.records.record import Record
from edgeml.core.tensors import Label

__all__ = [
    "CALIBRATION_BINS",
    "MOST_CELLS",
    "MOST_FLIPS",
    "MOST_OUTPUTS",
    "MOST_WORST",
    "Calibration",
    "CalibrationBin",
    "ClassRecall",
    "Confusion",
    "Evidence",
    "Flip",
    "LabelScore",
    "OutputErrors",
    "SampleError",
]

CALIBRATION_BINS = 15
"""Number of bins, as in Guo et al. (On Calibration of Modern Neural Networks, ICML 2017)."""
MOST_FLIPS = 10_000
MOST_CELLS = 50_000
MOST_OUTPUTS = 100
MOST_WORST = 10

Count = Annotated[int, Meta(ge=0)]
Place = Annotated[int, Meta(ge=-1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Flip(Record, frozen=True):
    """A sample for which the artifact's label differs from the source's.

    Attributes:
        sample: Position of the sample.
        source: Label of the source.
        artifact: Label of the artifact; None for an unknown label.
        truth: True label; None if unknown.
    """

    sample: Count
    source: Label
    artifact: Label | None = None
    truth: Label | None = None


class ClassRecall(Record, frozen=True):
    """The recall of a class.

    Attributes:
        label: Label of the class.
        source: Recall of the source; None without samples.
        artifact: Recall of the artifact; None without samples.
    """

    label: Label
    source: Share | None = None
    artifact: Share | None = None


class LabelScore(Record, frozen=True):
    """A metric of one label: F1 of a multi-label model, IoU of a class of pixels, average precision of boxes.

    Attributes:
        label: The label.
        source: Metric of the source; None where the label does not occur.
        artifact: Metric of the artifact; None where the label does not occur.
    """

    label: Label
    source: Share | None = None
    artifact: Share | None = None


class Confusion(Record, frozen=True):
    """A sparse confusion matrix: its non-empty cells.

    Attributes:
        cells: Triples of the true label's position, the predicted label's position (-1 for an unknown label) and the
            number of samples, sorted by position. If there are too many cells, the fullest ones are kept.
        left_out: Number of samples in cells that are not kept.
    """

    cells: Annotated[tuple[tuple[Count, Place, Count], ...], Meta(max_length=MOST_CELLS)]
    left_out: Count = 0


class CalibrationBin(Record, frozen=True):
    """The samples with a top probability in one interval.

    Attributes:
        samples: Number of samples.
        confidence: Mean top probability; None without samples.
        accuracy: Fraction of samples whose most probable class is the true one; None without samples.
    """

    samples: Count = 0
    confidence: float | None = None
    accuracy: Share | None = None


class Calibration(Record, frozen=True):
    """The calibration of probabilities: their agreement with the fraction of correct labels.

    Attributes:
        ece: Expected calibration error: the mean over the samples of ``|accuracy - confidence|`` of their bin.
        bins: Bins of equal width from probability 0 to 1; each includes its upper end.
    """

    ece: float
    bins: Annotated[tuple[CalibrationBin, ...], Meta(min_length=CALIBRATION_BINS, max_length=CALIBRATION_BINS)]


class SampleError(Record, frozen=True):
    """The mean absolute error of one sample, in the targets' units.

    Attributes:
        sample: Position of the sample.
        source: Error of the source.
        artifact: Error of the artifact.
    """

    sample: Count
    source: float
    artifact: float


class OutputErrors(Record, frozen=True):
    """Mean squared error, mean absolute error and R² of one of several outputs.

    Attributes:
        output: Position of the output in a sample.
        source: Metrics of the source.
        artifact: Metrics of the artifact.
    """

    output: Count
    source: Metrics
    artifact: Metrics


class Evidence(Record, frozen=True):
    """An evidence file.

    Attributes:
        flips: The first 10,000 samples with another label than the source's, without ties.
        recalls: Recall of each class, in the order of the labels.
        parity: Closeness of each output to the source's, by output name.
        confusion: Confusion matrix of the artifact.
        source_confusion: Confusion matrix of the source.
        worst_classes: Up to ten classes that lost recall, the largest loss first.
        calibration: Calibration of the artifact's probabilities.
        source_calibration: Calibration of the source's probabilities.
        worst_samples: Up to ten samples with the largest increases of the error, the largest first; for regression and
            reconstruction.
        label_scores: Main metric of each label, of tasks in which it is a mean over labels, in the order of the labels.
        outputs: Up to a hundred outputs with the largest increases of the squared error, the largest first; for samples
            with several numbers.
    """

    flips: tuple[Flip, ...] = ()
    recalls: tuple[ClassRecall, ...] = ()
    parity: dict[str, Fidelity] = msgspec.field(default_factory=dict)
    confusion: Confusion | None = None
    source_confusion: Confusion | None = None
    worst_classes: Annotated[tuple[WorstClass, ...], Meta(max_length=MOST_WORST)] = ()
    calibration: Calibration | None = None
    source_calibration: Calibration | None = None
    worst_samples: Annotated[tuple[SampleError, ...], Meta(max_length=MOST_WORST)] = ()
    label_scores: tuple[LabelScore, ...] = ()
    outputs: Annotated[tuple[OutputErrors, ...], Meta(max_length=MOST_OUTPUTS)] = ()
