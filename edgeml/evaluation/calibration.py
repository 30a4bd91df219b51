"""How well probabilities tell how often they are right."""

from __future__ import annotations

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.records.evidence_details import CALIBRATION_BINS, Calibration, CalibrationBin

__all__ = ["calibration_of"]

_ENDS = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]


def calibration_of(truth: np.ndarray, scores: np.ndarray, decision: Decision) -> Calibration | None:
    """The expected calibration error of the top probability, and its bins.

    The most probable class counts, which of some scikit-learn estimators is not the label that they give. A bin holds
    its upper end, as in scikit-learn's `calibration_curve`.

    Args:
        truth: Positions of the true labels ``[samples]``.
        scores: ``[samples, classes]``, or ``[samples]`` or ``[samples, 1]`` of the second of two classes.
        decision: The source's.

    Returns:
        None where the scores are no probabilities.
    """
    if not decision.probabilities or not len(truth):
        return None
    flat = scores.reshape(len(scores), -1)
    if decision.threshold is not None:
        second = flat[:, 0].astype(np.float64)
        chosen, top = (second > decision.threshold).astype(np.int64), np.maximum(second, 1 - second)
    else:
        chosen = flat.argmax(axis=1)
        top = np.take_along_axis(flat, chosen[:, None], axis=1)[:, 0].astype(np.float64)
    places = np.searchsorted(_ENDS, top)
    counts, confidences, hits = (
        np.bincount(places, weights, CALIBRATION_BINS) for weights in (None, top, (chosen == truth).astype(np.float64))
    )
    bins = tuple(
        CalibrationBin(int(count), float(confidence / count), float(right / count)) if count else CalibrationBin()
        for count, confidence, right in zip(counts, confidences, hits, strict=True)
    )
    return Calibration(float(np.abs(hits - confidences).sum() / len(truth)), bins)
