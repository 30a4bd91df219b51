"""The details behind an artifact's figures, as its evidence file holds them.

All counts are bounded, so that no number of classes or samples makes a file that nobody can read.
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
    "OutputErrors",
    "SampleError",
]

CALIBRATION_BINS = 15
"""As Guo et al. have them (On Calibration of Modern Neural Networks, ICML 2017)."""
MOST_FLIPS = 10_000
MOST_CELLS = 50_000
MOST_OUTPUTS = 100
MOST_WORST = 10

Count = Annotated[int, Meta(ge=0)]
Place = Annotated[int, Meta(ge=-1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Flip(Record, frozen=True):
    """A sample that gets another label than the source's.

    Attributes:
        sample: Its position.
        source: The source's label. `artifact`: the artifact's, None for one that is not among the labels.
        truth: The true one, where that is known.
    """

    sample: Count
    source: Label
    artifact: Label | None = None
    truth: Label | None = None


class ClassRecall(Record, frozen=True):
    """Share of a class's samples that get its label; None without samples."""

    label: Label
    source: Share | None = None
    artifact: Share | None = None


class Confusion(Record, frozen=True):
    """Which classes are taken for which: the cells of the confusion matrix that are not empty.

    Attributes:
        cells: Position of the true label, position of the label that was given (-1 for one that is not among the
            labels), and number of such samples; by position. Of more cells than are kept the fullest.
        left_out: Samples in the cells that are not kept.
    """

    cells: Annotated[tuple[tuple[Count, Place, Count], ...], Meta(max_length=MOST_CELLS)]
    left_out: Count = 0


class CalibrationBin(Record, frozen=True):
    """Samples with about the same top probability.

    Attributes:
        samples: How many.
        confidence: Mean of their top probability. `accuracy`: share of them whose most probable class is the true
            one. Both None without samples.
    """

    samples: Count = 0
    confidence: float | None = None
    accuracy: Share | None = None


class Calibration(Record, frozen=True):
    """How well probabilities tell how often they are right.

    Attributes:
        ece: Expected calibration error: the mean over the samples of a bin's ``|accuracy - confidence|``.
        bins: Of equal width, from probability 0 to 1, each with its upper end.
    """

    ece: float
    bins: Annotated[tuple[CalibrationBin, ...], Meta(min_length=CALIBRATION_BINS, max_length=CALIBRATION_BINS)]


class SampleError(Record, frozen=True):
    """Mean absolute error of one sample, in the targets' units."""

    sample: Count
    source: float
    artifact: float


class OutputErrors(Record, frozen=True):
    """Mean squared and absolute error and R² of one of several outputs, by its position in a sample."""

    output: Count
    source: Metrics
    artifact: Metrics


class Evidence(Record, frozen=True):
    """An evidence file.

    Attributes:
        flips: The first 10,000 samples that get another label than the source's, ties left out.
        recalls: Of each class, in the labels' order.
        parity: How near each output is to the source's, by its name.
        confusion: The artifact's. `source_confusion`: the source's.
        worst_classes: Up to ten classes that lost recall, the largest loss first.
        calibration: Of the artifact's probabilities. `source_calibration`: of the source's.
        worst_samples: Of regressors and reconstruction, up to ten whose error rose, the largest rise first.
        outputs: Where a sample has several numbers, up to a hundred of them, the largest rise of the squared error
            first.
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
    outputs: Annotated[tuple[OutputErrors, ...], Meta(max_length=MOST_OUTPUTS)] = ()
