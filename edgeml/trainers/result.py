"""What came of a training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from edgeml.core.preprocessing import Declaration
from edgeml.core.tensors import Label
from edgeml.trainers.training_schema import Training, TrainingTask

__all__ = [
    "Candidate",
    "ClassMetrics",
    "Column",
    "ColumnKind",
    "Epoch",
    "SearchResult",
    "Trained",
    "TrainingCurves",
    "TrainingMetrics",
]


ColumnKind = Literal["numbers", "text"]


class _Record(Struct, frozen=True, omit_defaults=True, kw_only=True):
    pass


class Epoch(_Record, frozen=True):
    """An epoch of a net: means over its training samples while they were learnt, and over the validation samples after.

    Attributes:
        number: From 1. `of`: at most so many are made.
        loss: What was minimized: cross-entropy, or the mean squared error, of values (but for pixels) standardized
            over the training samples; with the penalties of l1 and l2. `validation_loss`: the same.
        accuracy: Of a classifier. `validation_accuracy`: the same.
        mae: Mean absolute error of the same values. `validation_mae`: the same.
    """

    number: int
    of: int
    loss: float
    validation_loss: float
    accuracy: float | None = None
    validation_accuracy: float | None = None
    mae: float | None = None
    validation_mae: float | None = None


class TrainingCurves(_Record, frozen=True):
    """What a package keeps of the training of a net.

    Attributes:
        history: Its epochs, at least one. `best_epoch`: the number of the one whose weights were kept.
    """

    history: Annotated[tuple[Epoch, ...], Meta(min_length=1, max_length=100_000)]
    best_epoch: int


class Candidate(_Record, frozen=True):
    """One point of a searched grid.

    Attributes:
        parameters: Its values; estimators by their representation.
        score: Mean of the folds' scores. `deviation`: their standard deviation.
        rank: 1 for the best.
    """

    parameters: dict[str, Any]
    score: float
    deviation: float
    rank: int


class Column(_Record, frozen=True):
    """A column of a table that is learnt from.

    Attributes:
        name: As in the table.
        kind: What its fields are.
    """

    name: str
    kind: ColumnKind


class SearchResult(_Record, frozen=True):
    """What a search found.

    Attributes:
        best: The parameters that were taken.
        score: Their mean score in cross-validation.
        candidates: All, in the grid's order.
    """

    best: dict[str, Any]
    score: float
    candidates: tuple[Candidate, ...]


class ClassMetrics(_Record, frozen=True):
    """Of one class.

    Attributes:
        label: The class. `samples`: how many of the evaluation samples are of it.
        precision: Share of what was taken for it that is. `recall`: share of it that was found. `f1`: their
            harmonic mean.
    """

    label: Label
    precision: float
    recall: float
    f1: float
    samples: int


class TrainingMetrics(_Record, frozen=True):
    """Metrics on the evaluation samples, by scikit-learn's functions. Which are set depends on the task.

    Attributes:
        accuracy: Share of right labels.
        precision: Plain mean over the classes. `recall`: the same. `f1`: the same.
        roc_auc: Area under the ROC curve; of more than two classes one against the rest, the plain mean.
        confusion: Samples of each true class, in rows, by the label that they got.
        classes: Metrics of each class.
        mse: Mean squared error. `mae`: mean absolute error. `r2`: coefficient of determination.
        relative_mse: Mean squared error by the variance of the values.
    """

    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    roc_auc: float | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    classes: tuple[ClassMetrics, ...] | None = None
    mse: float | None = None
    mae: float | None = None
    r2: float | None = None
    relative_mse: float | None = None


class Trained(_Record, frozen=True):
    """A trained model and what is known of it; ``training.json`` holds this.

    Attributes:
        training: The settings as they were understood.
        model: The model's file.
        task: What it does.
        data_digest: ``sha256:…`` over all samples and their targets.
        samples: How many each part of the data has.
        classes: A classifier's labels, in the order of its scores.
        columns: Those of a table, in their order.
        preprocessing: What the input's numbers mean, where that is known.
        metrics: On the held-out samples.
        search: What was found over the grid.
        history: A net's epochs. `best_epoch`: the number of the one whose weights were kept.
        parameters: How many numbers a net has learnt, or holds.
        remarks: What limits the result: warnings of the framework, what is odd about the data.
        versions: Of what it was made with.
        files: All files that the training wrote.
    """

    training: Training
    model: str
    task: TrainingTask
    data_digest: str
    samples: dict[str, int]
    classes: tuple[Label, ...] | None = None
    columns: tuple[Column, ...] | None = None
    preprocessing: Declaration | None = None
    metrics: TrainingMetrics = TrainingMetrics()
    search: SearchResult | None = None
    history: tuple[Epoch, ...] = ()
    best_epoch: int | None = None
    parameters: int | None = None
    remarks: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    files: tuple[str, ...] = ()
