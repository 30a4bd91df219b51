"""The metrics of a task, with numpy alone so that a device can find them too.

Definitions are scikit-learn's: `f1_score` and `roc_auc_score` with the plain mean over classes, `r2_score`
with the plain mean over outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.evidence import Metrics, WorstClass
from edgeml.core.source import Task
from edgeml.core.tensors import Label

__all__ = ["class_recalls", "metrics_of", "worst_class"]


def metrics_of(task: Task, truth: np.ndarray, scores: np.ndarray, predicted: np.ndarray | None) -> Metrics:
    """The task's metrics.

    Args:
        task: Which.
        truth: Positions of the true labels ``[samples]``, or true values shaped as the scores.
        scores: The model's float outputs ``[samples, ...]``.
        predicted: Positions of its labels ``[samples]``, for classification.

    Returns:
        The metrics that the data allow: no AUC with one class, no R² for constant targets.
    """
    if task == "classification":
        assert predicted is not None
        return Metrics(accuracy=float((truth == predicted).mean()), f1=_f1(truth, predicted), auc=_auc(truth, scores))
    wanted = truth.reshape(len(truth), -1).astype(np.float64)
    error = scores.reshape(len(scores), -1) - wanted
    squares = np.square(error)
    spread = np.square(wanted - wanted.mean(axis=0))
    mse, mae = float(squares.mean()), float(np.abs(error).mean())
    if task == "regression":
        return Metrics(mse=mse, mae=mae, r2=r2(squares, spread))
    return Metrics(mse=mse, mae=mae, relative_mse=mse / float(spread.mean()) if spread.any() else None)


def r2(squares: np.ndarray, spread: np.ndarray) -> float | None:
    """Coefficient of determination from squared errors and squared deviations ``[samples, outputs]``."""
    total = spread.sum(axis=0)
    return float((1 - squares.sum(axis=0) / total).mean()) if (total > 0).all() else None


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
        return _binary_auc(truth == 1, columns[:, -1])
    found = [_binary_auc(truth == label, columns[:, label]) for label in range(columns.shape[1])]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if len(known) == len(found) else None


def _binary_auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    """Probability that a positive sample scores above a negative one, ties counting half (Mann-Whitney U)."""
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def class_recalls(truth: np.ndarray, predicted: np.ndarray, classes: int) -> list[float | None]:
    """Share of each class's samples that get its label; None for a class without samples."""
    return [
        float((predicted[truth == label] == label).mean()) if (truth == label).any() else None
        for label in range(classes)
    ]


def worst_class(
    truth: np.ndarray, source: np.ndarray, predicted: np.ndarray, labels: Sequence[Label]
) -> WorstClass | None:
    """The class whose recall fell most from the source to the artifact; all arguments but the last are positions."""
    before, after = (class_recalls(truth, found, len(labels)) for found in (source, predicted))
    falls = [
        (b - a, position)
        for position, (b, a) in enumerate(zip(before, after, strict=True))
        if a is not None and b is not None
    ]
    if not falls:
        return None
    _, worst = max(falls, key=lambda fall: (fall[0], -fall[1]))
    recall_before, recall_after = before[worst], after[worst]
    assert recall_before is not None and recall_after is not None
    return WorstClass(labels[worst], recall_before, recall_after, int((truth == worst).sum()))
