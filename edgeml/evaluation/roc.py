"""Area under the ROC curve, and the interval of the difference of two on the same samples."""

from __future__ import annotations

import numpy as np

from edgeml.evaluation.bootstrap import NORMAL_95

__all__ = ["area_drop_interval", "area_under_curve"]


def area_under_curve(positive: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the probability that a positive sample scores above a negative one, ties as half (Mann-Whitney U).

    Args:
        positive: True for positive samples ``[samples]``.
        scores: Scores ``[samples]``.

    Returns:
        None without both positive and negative samples.
    """
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return None
    return float((_ranks(scores)[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def area_drop_interval(positive: np.ndarray, source: np.ndarray, artifact: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of the drop of the area from the source to an artifact.

    The variance of the difference of two correlated areas is that of DeLong, DeLong and Clarke-Pearson (Biometrics 44,
    1988).

    Args:
        positive: True for positive samples ``[samples]``, of which two are positive and two are not.
        source: Scores of the source ``[samples]``.
        artifact: Scores of the artifact ``[samples]``.
    """
    by_positive, by_negative = zip(*(_placements(positive, scores) for scores in (source, artifact)), strict=True)
    drop = float(by_positive[0].mean() - by_positive[1].mean())
    variance = sum(float(np.var(first - second, ddof=1)) / len(first) for first, second in (by_positive, by_negative))
    margin = NORMAL_95 * variance**0.5
    return max(-1.0, drop - margin), min(1.0, drop + margin)


def _placements(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each positive sample the share of negative ones below it, and for each negative that of those above.

    Ties count as half.
    """
    hits, misses = int(positive.sum()), int((~positive).sum())
    ranks = _ranks(scores)
    below = (ranks[positive] - _ranks(scores[positive])) / misses
    above = 1 - (ranks[~positive] - _ranks(scores[~positive])) / hits
    return below, above


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Return ranks from 1, the mean rank for equal scores."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])
