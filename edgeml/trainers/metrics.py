"""Metrics of a trained model on held-out samples, by scikit-learn's own functions."""

from __future__ import annotations

import numpy as np

from edgeml.trainers.result import ClassMetrics, TrainingMetrics

__all__ = ["classification_metrics", "reconstruction_metrics", "regression_metrics"]


def classification_metrics(
    truth: np.ndarray, predicted: np.ndarray, scores: np.ndarray | None, classes: np.ndarray
) -> TrainingMetrics:
    """Compute the metrics of a classifier.

    Args:
        truth: True labels ``[samples]``.
        predicted: Predicted labels ``[samples]``.
        scores: float ``[samples]`` of the second of two classes, or ``[samples, classes]``; None without.
        classes: All labels, in the order of the scores.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

    each = precision_recall_fscore_support(truth, predicted, labels=classes, zero_division=0.0)
    mean = precision_recall_fscore_support(truth, predicted, labels=classes, average="macro", zero_division=0.0)
    return TrainingMetrics(
        accuracy=float(accuracy_score(truth, predicted)),
        precision=float(mean[0]),
        recall=float(mean[1]),
        f1=float(mean[2]),
        roc_auc=None if scores is None else _roc_auc(truth, scores, classes),
        confusion=tuple(map(tuple, confusion_matrix(truth, predicted, labels=classes).tolist())),
        classes=tuple(
            ClassMetrics(label=label, precision=float(p), recall=float(r), f1=float(f), samples=int(n))
            for label, p, r, f, n in zip(classes.tolist(), *each, strict=True)
        ),
    )


def regression_metrics(truth: np.ndarray, predicted: np.ndarray) -> TrainingMetrics:
    """Compute the metrics of values ``[samples]`` or ``[samples, values]``."""
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    return TrainingMetrics(
        mse=float(mean_squared_error(truth, predicted)),
        mae=float(mean_absolute_error(truth, predicted)),
        r2=float(r2_score(truth, predicted)) if len(truth) > 1 else None,
    )


def reconstruction_metrics(inputs: np.ndarray, outputs: np.ndarray) -> TrainingMetrics:
    """Compute the metrics of reconstructed inputs ``[samples, values]``."""
    from sklearn.metrics import mean_absolute_error, mean_squared_error

    mse, spread = float(mean_squared_error(inputs, outputs)), float(inputs.astype(np.float64).var(axis=0).mean())
    return TrainingMetrics(
        mse=mse, mae=float(mean_absolute_error(inputs, outputs)), relative_mse=mse / spread if spread else None
    )


def _roc_auc(truth: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> float | None:
    from sklearn.metrics import roc_auc_score

    columns = scores.reshape(len(scores), -1)
    if len(np.unique(truth)) < len(classes) or columns.shape[1] not in {len(classes), 1 if len(classes) == 2 else 0}:
        return None  # the curve of a class needs samples of the class, and scores for it
    one_hot = (truth[:, None] == classes[None]).astype(np.int64)
    if len(classes) == 2:
        return float(roc_auc_score(one_hot[:, 1], columns[:, -1]))
    # The same as `multi_class="ovr"`, which however accepts only probabilities.
    return float(roc_auc_score(one_hot, columns, average="macro"))
