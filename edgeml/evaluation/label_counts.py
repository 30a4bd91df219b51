"""Counts of right and wrong labels, from which F1 and IoU follow, where a sample has several labels.

The definitions are those of scikit-learn: `f1_score` of a multi-label problem, and `jaccard_score` over the labels that
occur, both with the unweighted mean over labels.
"""

from __future__ import annotations

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.tensors import Label

__all__ = [
    "count_by_label",
    "count_by_position",
    "f1_by_label",
    "iou_by_label",
    "least_kept",
    "mean_f1",
    "mean_iou",
]

_MIN_COUNT = 20  # of a label that the source gives, below which a share says little


def count_by_label(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Count the labels of a multi-label model.

    Args:
        truth: True where a label applies, ``[samples, ..., labels]``.
        predicted: True where a label is predicted, of the same shape.

    Returns:
        Counts ``[samples, 3, labels]`` of true positives, false positives and false negatives.
    """
    truth, predicted = truth.astype(bool), predicted.astype(bool)
    outcomes = truth & predicted, ~truth & predicted, truth & ~predicted
    return np.stack([each.sum(axis=tuple(range(1, each.ndim - 1))) for each in outcomes], axis=1).astype(np.float64)


def count_by_position(truth: np.ndarray, predicted: np.ndarray, labels: int) -> np.ndarray:
    """Count the labels of a model with a label for each pixel or step.

    Args:
        truth: Positions of the true labels ``[samples, ...]``; negative where the truth is unknown.
        predicted: Positions of the predicted labels, of the same shape.
        labels: Number of labels.

    Returns:
        Counts ``[samples, 3, labels]`` of true positives, false positives and false negatives.
    """
    counts = np.empty((len(truth), 3, labels))
    for row, true_row, predicted_row in zip(counts, truth, predicted, strict=True):
        known = true_row >= 0
        true, own = true_row[known], predicted_row[known]
        hits, of_truth, of_model = (np.bincount(values, minlength=labels) for values in (true[true == own], true, own))
        row[:] = hits, of_model - hits, of_truth - hits
    return counts


def f1_by_label(counts: np.ndarray) -> np.ndarray:
    """Return the F1 score of each label ``[..., labels]``; 0 for a label that does not occur.

    Args:
        counts: Counts ``[..., 3, labels]``, summed over samples.
    """
    hits, false_positives, false_negatives = np.moveaxis(counts, -2, 0)
    total = 2 * hits + false_positives + false_negatives
    return np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)


def mean_f1(counts: np.ndarray) -> np.ndarray:
    """Return the mean of `f1_by_label` over the labels ``[...]``."""
    return np.asarray(f1_by_label(counts).mean(axis=-1))


def iou_by_label(counts: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each label ``[..., labels]``; NaN for a label that does not occur.

    Args:
        counts: Counts ``[..., 3, labels]``, summed over samples.
    """
    union = counts.sum(axis=-2)
    return np.divide(counts[..., 0, :], union, out=np.full_like(union, np.nan), where=union > 0)


def mean_iou(counts: np.ndarray) -> np.ndarray:
    """Return the mean of `iou_by_label` over the labels that occur ``[...]``."""
    by_label = iou_by_label(counts)
    occurs = ~np.isnan(by_label)
    return np.asarray(np.where(occurs, by_label, 0.0).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1))


def least_kept(source: np.ndarray, artifact: np.ndarray, decision: Decision) -> tuple[Label, float] | None:
    """Return the label that an artifact keeps least often where the source gives it, and the share that it keeps.

    A small share hides in the agreement over all labels if the label is rare.

    Args:
        source: Positions of the source's labels ``[samples, ...]``.
        artifact: Positions of the artifact's labels, of the same shape.
        decision: Decision of the source.

    Returns:
        None if the source gives no label often enough.
    """
    if decision.independent:
        counts = count_by_label(source, artifact).sum(axis=0)
    else:
        counts = count_by_position(source, artifact, len(decision.labels)).sum(axis=0)
    hits, _, misses = counts
    often = np.flatnonzero(hits + misses >= _MIN_COUNT)
    if not len(often):
        return None
    shares = hits[often] / (hits + misses)[often]
    worst = int(shares.argmin())
    return decision.labels[int(often[worst])], float(shares[worst])
