"""The metrics of a task, computed with numpy alone so that they are available on devices too.

The definitions are those of scikit-learn: `f1_score` and `roc_auc_score` with the unweighted mean over classes,
`r2_score` with the unweighted mean over outputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from edgeml.core.records.evidence import Metrics, WorstClass
from edgeml.core.records.evidence_details import MOST_WORST
from edgeml.core.source import Task
from edgeml.core.tensors import Label
from edgeml.evaluation.roc import area_under_curve

__all__ = ["class_recalls", "metrics_of", "worst_class", "worst_classes"]


def metrics_of(task: Task, truth: np.ndarray, scores: np.ndarray, predicted: np.ndarray | None) -> Metrics:
    """Return the task's metrics.

    Args:
        task: Task of the model.
        truth: Positions of the true labels ``[samples]``, or true values shaped as the scores.
        scores: The model's float outputs ``[samples, ...]``.
        predicted: Positions of the model's labels ``[samples]``, for classification.

    Returns:
        The metrics that are defined on the data: AUC needs two classes, R² needs targets that vary.
    """
    if task == "classification":
        assert predicted is not None
        return Metrics(accuracy=float((truth == predicted).mean()), f1=_f1(truth, predicted), auc=_auc(truth, scores))
    targets = truth.reshape(len(truth), -1).astype(np.float64)
    error = scores.reshape(len(scores), -1) - targets
    squares = np.square(error)
    deviations = np.square(targets - targets.mean(axis=0))
    mse, mae = float(squares.mean()), float(np.abs(error).mean())
    if task == "regression":
        return Metrics(mse=mse, mae=mae, r2=r2(squares, deviations))
    return Metrics(mse=mse, mae=mae, relative_mse=mse / float(deviations.mean()) if deviations.any() else None)


def r2(squares: np.ndarray, deviations: np.ndarray) -> float | None:
    """Return the coefficient of determination from squared errors and squared deviations ``[samples, outputs]``.

    The mean is over the outputs that vary; None where none does.
    """
    total = deviations.sum(axis=0)
    varies = total > 0
    return float((1 - squares.sum(axis=0)[varies] / total[varies]).mean()) if varies.any() else None


def _f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    classes = np.union1d(truth, predicted)
    scores = []
    for label in classes:
        hits = int(((truth == label) & (predicted == label)).sum())
        scores.append(2 * hits / (int((truth == label).sum()) + int((predicted == label).sum())))
    return float(np.mean(scores))


def _auc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    columns = scores.reshape(len(scores), -1).astype(np.float64)
    if columns.shape[1] <= 2:
        return area_under_curve(truth == 1, columns[:, -1])
    if len(np.unique(truth)) < columns.shape[1]:
        return None
    areas = [area_under_curve(truth == label, columns[:, label]) for label in range(columns.shape[1])]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if len(defined) == len(areas) else None


def class_recalls(truth: np.ndarray, predicted: np.ndarray, classes: int) -> list[float | None]:
    """Return the recall of each class; None for a class without samples."""
    totals = np.bincount(truth, minlength=classes).tolist()
    hits = np.bincount(truth[truth == predicted], minlength=classes).tolist()
    return [hit / total if total else None for hit, total in zip(hits, totals, strict=True)]


def worst_class(
    truth: np.ndarray, source: np.ndarray, predicted: np.ndarray, labels: Sequence[Label]
) -> WorstClass | None:
    """Return the class whose recall fell most from the source to the artifact.

    Args:
        truth: Positions of the true labels ``[samples]``.
        source: Positions of the source's labels ``[samples]``.
        predicted: Positions of the artifact's labels ``[samples]``.
        labels: All labels.
    """
    return next(_by_recall_loss(truth, source, predicted, labels), None)


def worst_classes(
    truth: np.ndarray, source: np.ndarray, predicted: np.ndarray, labels: Sequence[Label]
) -> tuple[WorstClass, ...]:
    """Return up to ten classes that lost recall, the largest loss first; arguments as for `worst_class`."""
    first = itertools.islice(_by_recall_loss(truth, source, predicted, labels), MOST_WORST)
    return tuple(item for item in first if item.recall < item.source_recall)


def _by_recall_loss(
    truth: np.ndarray, source: np.ndarray, predicted: np.ndarray, labels: Sequence[Label]
) -> Iterator[WorstClass]:
    """Yield the classes that have samples, the largest loss of recall first, and the first label of equal ones."""
    totals = np.bincount(truth, minlength=len(labels))
    before, after = (np.bincount(truth[truth == positions], minlength=len(labels)) for positions in (source, predicted))
    present = np.flatnonzero(totals)
    losses = (before - after)[present] / totals[present]
    for position in present[np.argsort(-losses, kind="stable")].tolist():
        total = int(totals[position])
        yield WorstClass(labels[position], int(before[position]) / total, int(after[position]) / total, total)
