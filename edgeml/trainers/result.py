"""Results of a training."""

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
    """An epoch of a net: means over the training samples during the epoch, and over the validation samples after it.

    Attributes:
        number: Number of the epoch, from 1.
        of: Maximum number of epochs.
        loss: The training loss, with the penalties of l1 and l2: cross-entropy, or the mean squared error of values
            that are standardized over the training samples (pixels are not).
        validation_loss: The loss over the validation samples.
        accuracy: Accuracy of a classifier.
        validation_accuracy: Accuracy over the validation samples.
        mae: Mean absolute error of the values that the loss refers to.
        validation_mae: Mean absolute error over the validation samples.
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
    """Training curves of a net, as a package keeps them.

    Attributes:
        history: The epochs, at least one.
        best_epoch: Number of the epoch whose weights were kept.
    """

    history: Annotated[tuple[Epoch, ...], Meta(min_length=1, max_length=100_000)]
    best_epoch: int


class Candidate(_Record, frozen=True):
    """A point of a searched grid.

    Attributes:
        parameters: Values of the parameters; estimators by their representation.
        score: Mean of the folds' scores.
        deviation: Standard deviation of the folds' scores.
        rank: 1 for the best.
    """

    parameters: dict[str, Any]
    score: float
    deviation: float
    rank: int


class Column(_Record, frozen=True):
    """A feature of a table.

    Attributes:
        name: Name of the column.
        kind: Kind of its values.
    """

    name: str
    kind: ColumnKind


class SearchResult(_Record, frozen=True):
    """Result of a search over parameters.

    Attributes:
        best: The chosen parameters.
        score: Mean score of the chosen parameters in cross-validation.
        candidates: All points of the grid, in its order.
    """

    best: dict[str, Any]
    score: float
    candidates: tuple[Candidate, ...]


class ClassMetrics(_Record, frozen=True):
    """Metrics of a class.

    Attributes:
        label: The class.
        precision: Share of the samples with this predicted label that are of the class.
        recall: Share of the samples of the class that have this predicted label.
        f1: Harmonic mean of precision and recall.
        samples: Number of evaluation samples of the class.
    """

    label: Label
    precision: float
    recall: float
    f1: float
    samples: int


class TrainingMetrics(_Record, frozen=True):
    """Metrics on the evaluation samples, by scikit-learn's functions. Metrics of other tasks are None.

    Attributes:
        accuracy: Share of correct labels.
        precision: Precision, unweighted mean over the classes.
        recall: Recall, unweighted mean over the classes.
        f1: F1 score, unweighted mean over the classes.
        roc_auc: Area under the ROC curve; for more than two classes one-vs-rest, unweighted mean.
        confusion: Samples of each true class, in rows, by predicted label.
        classes: Metrics of each class.
        mse: Mean squared error.
        mae: Mean absolute error.
        r2: Coefficient of determination.
        relative_mse: Mean squared error divided by the variance of the values.
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
    """A trained model and its record, the content of ``training.json``.

    Attributes:
        training: The settings, with defaults filled in.
        model: Name of the model's file.
        task: Task of the model.
        data_digest: ``sha256:…`` of all samples and their targets.
        samples: Number of samples of each part of the data.
        classes: A classifier's labels, in the order of its scores.
        columns: Features of a table, in their order.
        preprocessing: Meaning of the input's values, if known.
        metrics: Metrics on the held-out samples.
        search: Result of the search over parameters.
        history: Epochs of a net.
        best_epoch: Number of the epoch whose weights were kept.
        parameters: Number of a net's parameters, trainable or not.
        remarks: Limits of the result: warnings of the framework, peculiarities of the data.
        versions: Versions of the packages that trained the model.
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
