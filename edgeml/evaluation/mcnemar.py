"""McNemar's exact test of whether a classifier and its artifact have the same error rate."""

from __future__ import annotations

import math

import numpy as np

from edgeml.core.records.evidence import McNemar

__all__ = ["discordant", "mcnemar_of"]


def discordant(truth: np.ndarray, source: np.ndarray, artifact: np.ndarray) -> tuple[int, int]:
    """Return the numbers of samples that only the source, and only the artifact, classifies correctly.

    Args:
        truth: Positions of the true labels ``[samples]``.
        source: Positions of the source's labels ``[samples]``.
        artifact: Positions of the artifact's labels ``[samples]``.
    """
    before, after = truth == source, truth == artifact
    return int((before & ~after).sum()), int((~before & after).sum())


def mcnemar_of(truth: np.ndarray, source: np.ndarray, artifact: np.ndarray) -> McNemar:
    """Return McNemar's test of a classifier against its artifact; arguments as for `discordant`."""
    lost, gained = discordant(truth, source, artifact)
    return McNemar(lost, gained, _p_value(lost, gained))


def _p_value(lost: int, gained: int) -> float:
    """Return twice the lower tail of the binomial distribution with probability one half, which is symmetric.

    The largest term of the tail is computed by its logarithm, because binomial coefficients of many samples overflow
    floats; each other term follows by its ratio to the one before.
    """
    total, fewer = lost + gained, min(lost, gained)
    below = np.arange(fewer, 0, -1, dtype=np.float64)
    tail = 1 + float(np.cumprod(below / (total - below + 1)).sum())
    log_largest = math.lgamma(total + 1) - math.lgamma(fewer + 1) - math.lgamma(total - fewer + 1)
    return min(1.0, 2 * tail * math.exp(log_largest - total * math.log(2)))
