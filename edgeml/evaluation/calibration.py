"""Calibration of predicted probabilities."""

from __future__ import annotations

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.records.evidence_details import CALIBRATION_BINS, Calibration, CalibrationBin

__all__ = ["calibration_of"]

_ENDS = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]


def calibration_of(truth: np.ndarray, scores: np.ndarray, decision: Decision) -> Calibration | None:
    """Return the expected calibration error of the top probability, and its bins.

    The prediction is the most probable class, which for some scikit-learn estimators is not the label that `predict`
    returns. A bin includes its upper end, as in scikit-learn's `calibration_curve`.

    Args:
        truth: Positions of the true labels ``[samples]``.
        scores: ``[samples, classes]``, or ``[samples]`` or ``[samples, 1]`` of the second of two classes.
        decision: Decision of the source.

    Returns:
        None where the scores are not probabilities.
    """
    if not decision.probabilities or not len(truth):
        return None
    flat = scores.reshape(len(scores), -1)
    if decision.threshold is not None:
        second = flat[:, 0].astype(np.float64)
        predicted, top = (second > decision.threshold).astype(np.int64), np.maximum(second, 1 - second)
    else:
        predicted = flat.argmax(axis=1)
        top = np.take_along_axis(flat, predicted[:, None], axis=1)[:, 0].astype(np.float64)
    bin_indices = np.searchsorted(_ENDS, top)
    counts, confidences, hits = (
        np.bincount(bin_indices, weights, CALIBRATION_BINS)
        for weights in (None, top, (predicted == truth).astype(np.float64))
    )
    bins = tuple(
        CalibrationBin(int(count), float(confidence / count), float(right / count)) if count else CalibrationBin()
        for count, confidence, right in zip(counts, confidences, hits, strict=True)
    )
    return Calibration(float(np.abs(hits - confidences).sum() / len(truth)), bins)
