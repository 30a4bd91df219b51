"""Evaluation of an artifact: fidelity, metrics and statistical tests."""

import msgspec

from edgeml.core.records.record import Record
from edgeml.core.source import Metric
from edgeml.core.tensors import Label

__all__ = [
    "METRIC_NAMES",
    "PERCENT_METRICS",
    "SIGNIFICANCE_LEVEL",
    "Drop",
    "ErrorRise",
    "Evaluation",
    "Fidelity",
    "IntegerFidelity",
    "Latency",
    "McNemar",
    "Metrics",
    "OutputEvaluation",
    "PartFidelity",
    "ProbeFidelity",
    "SizeFidelity",
    "WorstClass",
]


SIGNIFICANCE_LEVEL = 0.05
"""The p-value below which a difference is called significant."""


class PartFidelity(Record, frozen=True):
    """The closeness of some columns of an output, whose values are far smaller or larger than those of the others.

    Attributes:
        output: Name of the output.
        columns: The columns, as ``columns 4 to 6``, or the indices of another axis.
        sqnr_db: Signal-to-quantization-noise ratio of these columns alone.
        centred_sqnr_db: The same ratio about the mean over the samples; None if the columns are constant.
    """

    output: str
    columns: str
    sqnr_db: float
    centred_sqnr_db: float | None = None


class IntegerFidelity(Record, frozen=True):
    """The equality of an output of integers or bools, such as class numbers, with that of the source.

    Attributes:
        output: Name of the output.
        equal: Fraction of the elements that equal the source's.
    """

    output: str
    equal: float


class Fidelity(Record, frozen=True):
    """The closeness of an artifact's outputs to those of the source.

    Attributes:
        samples: Number of samples.
        sqnr_db: Signal-to-quantization-noise ratio, 10·log10(Σ ref² / Σ (out − ref)²); the minimum over the outputs, at
            most 200.
        centred_sqnr_db: The same ratio with each output's mean over the samples subtracted from ref in the numerator;
            None for a constant reference.
        max_error: Largest absolute difference, in the source's units.
        agreement: Fraction of labels that are the source's, without ties; None without labels. A sample has one label,
            or one for each pixel, step, or label of a multi-label model. Of several outputs with labels, the lowest.
        flips: Number of labels that are not the source's, of the same output; None without labels.
        tied: Number of labels whose scores tie in the source, which are not judged; None without such.
        sample_sqnr_db: Median over the samples of each sample's own ratio; the minimum over the outputs. None where no
            sample has power, and in packages of before.
        worst_part: The columns with the smallest ratio, where an output has columns of very different ranges.
        labels: Number of labels, where a sample has several; else None.
        agreement_of: Name of the output with the lowest agreement, of several outputs with labels; else None.
        worst_integers: The output of integers with the most elements that differ; None without such outputs. The ratios
            are those of the other outputs.
        only_integers: Whether all outputs are integers, so that the ratios, which are of these, do not count.
    """

    samples: int
    sqnr_db: float
    centred_sqnr_db: float | None
    max_error: float
    agreement: float | None = None
    flips: int | None = None
    tied: int | None = None
    sample_sqnr_db: float | None = None
    worst_part: PartFidelity | None = None
    labels: int | None = None
    agreement_of: str | None = None
    worst_integers: IntegerFidelity | None = None
    only_integers: bool = False

    @property
    def float_sqnr_db(self) -> float | None:
        """The ratio of the float outputs; None without such outputs."""
        return None if self.only_integers else self.sqnr_db

    @property
    def equal(self) -> float | None:
        """Fraction of equal elements of the worst output of integers; None without such outputs."""
        return None if self.worst_integers is None else self.worst_integers.equal


class ProbeFidelity(Record, frozen=True):
    """The closeness of an artifact's outputs to those of the source on rows made from the source itself.

    Such rows lie on thresholds, at categories, beyond the ranges of the data, and between classes.

    Attributes:
        rows: Number of rows.
        differing: Number of rows with another output or label than the source's.
        excused: Number of further rows with another output or label, which the source too gives for inputs moved by
            one last bit.
    """

    rows: int
    differing: int
    excused: int = 0


class SizeFidelity(Record, frozen=True):
    """The closeness of an artifact's outputs to those of the source at other free sizes than the judged data's.

    Attributes:
        sizes: A number for each free size, by name.
        fidelity: The closeness.
    """

    sizes: dict[str, int]
    fidelity: Fidelity


class Metrics(Record, frozen=True):
    """Metrics against true labels or targets. The metrics that do not apply to a task are None.

    Attributes:
        accuracy: Fraction of correct labels.
        f1: F1 score, unweighted mean over the classes.
        auc: Area under the ROC curve, one class against the rest, unweighted mean over the classes.
        mse: Mean squared error.
        mae: Mean absolute error.
        r2: Coefficient of determination, unweighted mean over the outputs.
        relative_mse: Mean squared error divided by the variance of the targets.
        mean_iou: Intersection over union of each class's pixels, unweighted mean over the classes that occur.
        mean_average_precision: Mean average precision of COCO, over IoU thresholds of 0.50 to 0.95.
        recall_at_1: Fraction of samples whose nearest other sample, by cosine, has the same identity.
        recall_at_5: The same for one of the five nearest.
        cosine: Mean cosine similarity of the embeddings to the source's.
    """

    accuracy: float | None = None
    f1: float | None = None
    auc: float | None = None
    mse: float | None = None
    mae: float | None = None
    r2: float | None = None
    relative_mse: float | None = None
    mean_iou: float | None = None
    mean_average_precision: float | None = None
    recall_at_1: float | None = None
    recall_at_5: float | None = None
    cosine: float | None = None


PERCENT_METRICS = frozenset({"accuracy", "f1", "mean_iou", "mean_average_precision", "recall_at_1"})
"""Metrics that are shares, and shown in percent."""
METRIC_NAMES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "mean_iou": "mean IoU",
    "mean_average_precision": "mAP",
    "r2": "R²",
    "relative_mse": "relative MSE",
    "auc": "AUC",
    "recall_at_1": "recall@1",
}
"""Names of the main metrics in texts."""


def format_drop(value: float, metric: str, *, digits: int = 2, sign: str = "") -> str:
    """Format a drop or its goal: of shares in percentage points, with ``%`` as in goals; of other metrics plain.

    Args:
        value: The drop, as a fraction.
        metric: Name of the metric.
        digits: Decimals of a percentage; other metrics have two more.
        sign: ``+`` to write the sign of a positive number.
    """
    if metric in PERCENT_METRICS:
        return f"{100 * value:{sign}.{digits}f}%"
    return f"{value:{sign}.{digits + 2}f}"


class Drop(Record, frozen=True):
    """The drop of the main metric below the source's, with a paired 95% interval.

    Attributes:
        metric: Name of the metric.
        value: Source minus artifact, or artifact minus source for errors: positive values are worse.
        low: Lower end of the interval.
        high: Upper end of the interval.
        method: Method of the interval.
        output: Name of the output, of a model with several outputs; else None.
    """

    metric: Metric
    value: float
    low: float
    high: float
    method: str
    output: str | None = None


class WorstClass(Record, frozen=True):
    """The class with the largest loss of recall.

    Attributes:
        label: Label of the class.
        source_recall: Recall of the source.
        recall: Recall of the artifact.
        samples: Number of samples of the class.
    """

    label: Label
    source_recall: float
    recall: float
    samples: int


class McNemar(Record, frozen=True):
    """McNemar's exact test for equal error rates of a classifier and its artifact on the same samples.

    Attributes:
        lost: Number of samples that only the source classifies correctly.
        gained: Number of samples that only the artifact classifies correctly.
        p_value: Two-sided exact p-value under the null hypothesis of equal error rates.
    """

    lost: int
    gained: int
    p_value: float

    @property
    def significance(self) -> str:
        """The test result in words: no difference, significant or not significant."""
        if self.lost == self.gained == 0:
            return "no difference"
        return "significant" if self.p_value < SIGNIFICANCE_LEVEL else "not significant"


class ErrorRise(Record, frozen=True):
    """The increase of the mean absolute error over the source's, with a paired 95% interval, in the targets' units.

    Attributes:
        value: Artifact minus source: positive values are worse.
        low: Lower end of the interval.
        high: Upper end of the interval.
        method: Method of the interval.
    """

    value: float
    low: float
    high: float
    method: str


class OutputEvaluation(Record, frozen=True):
    """The evaluation of one of several outputs. Fields that do not apply are None.

    Attributes:
        metrics: Metrics of the artifact.
        source_metrics: Metrics of the source.
        drop: Drop of the output's main metric.
        agreement: Fraction of labels that are the source's.
    """

    metrics: Metrics | None = None
    source_metrics: Metrics | None = None
    drop: Drop | None = None
    agreement: float | None = None


class Evaluation(Record, frozen=True):
    """The evaluation of an artifact's outputs on the judged data. Fields that do not apply are None.

    Attributes:
        fidelity: Closeness to the source's outputs.
        metrics: Metrics of the artifact.
        drop: Drop of the main metric.
        worst_class: Class with the largest loss of recall.
        source_metrics: Metrics of the source.
        mcnemar: Test for equal error rates, for classifiers.
        error_rise: Increase of the mean absolute error, for regression and reconstruction.
        source_ece: Expected calibration error of the source.
        ece: Expected calibration error of the artifact's top probability, if the outputs are probabilities.
        outputs: Evaluation of each output by name, of a model with several outputs. The fields above are then those of
            the output with the largest drop.
        probes: Closeness to the source on rows made from the source itself, for float artifacts; None without such
            rows, and in packages of before.
        at_sizes: Closeness to the source at other sizes, for artifacts with free sizes.
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
    outputs: dict[str, OutputEvaluation] = msgspec.field(default_factory=dict)
    probes: ProbeFidelity | None = None
    at_sizes: tuple[SizeFidelity, ...] = ()


class Latency(Record, frozen=True):
    """Latency from float input to float output of one sample, through the session, on one thread.

    Attributes:
        runs: Number of timed calls.
        median_ms: Median, in milliseconds.
        p95_ms: 95th percentile, in milliseconds.
    """

    runs: int
    median_ms: float
    p95_ms: float
