"""What was measured of an artifact."""

from typing import Literal

from edgeml.core.records.record import Record
from edgeml.core.tensors import Label

__all__ = ["SELDOM", "Drop", "ErrorRise", "Evaluation", "Fidelity", "Latency", "McNemar", "Metrics", "WorstClass"]


SELDOM = 0.05
"""The p-value below which a difference is said to be seldom chance."""


class Fidelity(Record, frozen=True):
    """How near an artifact's outputs are to the source's, over some samples.

    Attributes:
        samples: How many.
        sqnr_db: 10·log10(Σ ref² / Σ (out − ref)²), the lowest of the outputs; at most 200.
        centred_sqnr_db: The same with each output's mean over the samples taken off ref in the
            numerator; None where the reference is constant, which proves little.
        max_error: The largest absolute difference, in the source's own units.
        agreement: Share of the samples with the source's label, ties left out; None without labels.
        flips: Number of the samples with another label than the source's.
    """

    samples: int
    sqnr_db: float
    centred_sqnr_db: float | None
    max_error: float
    agreement: float | None = None
    flips: int | None = None


class Metrics(Record, frozen=True):
    """A task's metrics against true labels or targets. Which are set depends on the task.

    Attributes:
        accuracy: Share of right labels.
        f1: F1 score, the plain mean over the classes.
        auc: Area under the ROC curve, one against the rest, the plain mean over the classes.
        mse: Mean squared error. `mae`: mean absolute error. `r2`: coefficient of determination,
            the plain mean over the outputs.
        relative_mse: Mean squared error by the variance of the targets.
    """

    accuracy: float | None = None
    f1: float | None = None
    auc: float | None = None
    mse: float | None = None
    mae: float | None = None
    r2: float | None = None
    relative_mse: float | None = None


class Drop(Record, frozen=True):
    """How far the main metric fell below the source's, with a paired 95% interval.

    Attributes:
        metric: The metric's name.
        value: Source minus artifact, so that positive is worse (for errors: artifact minus source).
        low: Lower end of the interval. `high`: the upper end.
        method: How the interval was found.
    """

    metric: Literal["accuracy", "r2", "relative_mse"]
    value: float
    low: float
    high: float
    method: str


class WorstClass(Record, frozen=True):
    """The class whose recall fell most."""

    label: Label
    source_recall: float
    recall: float
    samples: int


class McNemar(Record, frozen=True):
    """McNemar's exact test of whether a classifier and its artifact err equally often on the same samples.

    Attributes:
        lost: Samples that the source alone gets right. `gained`: that the artifact alone gets right.
        p_value: How likely so uneven counts, or more uneven ones, are where both are equally good.
    """

    lost: int
    gained: int
    p_value: float

    @property
    def chance(self) -> str:
        """What the test says of the difference, in words."""
        if self.lost == self.gained == 0:
            return "no difference"
        return "seldom chance" if self.p_value < SELDOM else "may be chance"


class ErrorRise(Record, frozen=True):
    """How far the mean absolute error rose above the source's, with a paired 95% interval, in the targets' units.

    Attributes:
        value: Artifact minus source, so that positive is worse.
        low: Lower end of the interval. `high`: the upper end.
        method: How the interval was found.
    """

    value: float
    low: float
    high: float
    method: str


class Evaluation(Record, frozen=True):
    """All that was found of an artifact's outputs on the judged data.

    Attributes:
        source_metrics: The source's own.
        mcnemar: Of classifiers. `error_rise`: of regressors and reconstruction.
        ece: Expected calibration error of the top probability, where the outputs are probabilities.
        source_ece: The source's own.
    """

    fidelity: Fidelity
    metrics: Metrics | None = None
    drop: Drop | None = None
    worst_class: WorstClass | None = None
    source_metrics: Metrics | None = None
    mcnemar: McNemar | None = None
    error_rise: ErrorRise | None = None
    source_ece: float | None = None
    ece: float | None = None


class Latency(Record, frozen=True):
    """Time from float input to float output of one sample, through the session, on one thread.

    Attributes:
        runs: Number of timed calls.
        median_ms: Their median. `p95_ms`: the 95th percentile.
    """

    runs: int
    median_ms: float
    p95_ms: float
