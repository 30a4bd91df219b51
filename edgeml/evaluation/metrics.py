"""The metrics of a task, with numpy alone so that a device can find them too.

Definitions are scikit-learn's: `f1_score` and `roc_auc_score` with the plain mean over classes, `r2_score`
with the plain mean over outputs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from edgeml.core.records.evidence import Metrics, WorstClass
from edgeml.core.records.evidence_details import MOST_WORST
from edgeml.core.source import Task
from edgeml.core.tensors import Label

__all__ = ["class_recalls", "metrics_of", "worst_class", "worst_classes"]


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
    if len(np.unique(truth)) < columns.shape[1]:
        return None
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
    totals = np.bincount(truth, minlength=classes).tolist()
    hits = np.bincount(truth[truth == predicted], minlength=classes).tolist()
    return [right / total if total else None for right, total in zip(hits, totals, strict=True)]


def worst_class(
    truth: np.ndarray, source: np.ndarray, predicted: np.ndarray, labels: Sequence[Label]
) -> WorstClass | None:
    """The class whose recall fell most from the source to the artifact; all arguments but the last are positions."""
    return next(_by_fall(truth, source, predicted, labels), None)


def worst_classes(
    truth: np.ndarray, source: np.ndarray, predicted: np.ndarray, labels: Sequence[Label]
) -> tuple[WorstClass, ...]:
    """The classes that lost recall, up to ten, the largest loss first; arguments as for `worst_class`."""
    first = itertools.islice(_by_fall(truth, source, predicted, labels), MOST_WORST)
    return tuple(found for found in first if found.recall < found.source_recall)


def _by_fall(
    truth: np.ndarray, source: np.ndarray, predicted: np.ndarray, labels: Sequence[Label]
) -> Iterator[WorstClass]:
    """The classes that have samples, the largest fall of recall first, of equal ones the first label."""
    totals = np.bincount(truth, minlength=len(labels))
    before, after = (np.bincount(truth[truth == found], minlength=len(labels)) for found in (source, predicted))
    there = np.flatnonzero(totals)
    falls = (before - after)[there] / totals[there]
    for place in there[np.argsort(-falls, kind="stable")].tolist():
        total = int(totals[place])
        yield WorstClass(labels[place], int(before[place]) / total, int(after[place]) / total, total)
