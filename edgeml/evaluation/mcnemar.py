"""Whether a classifier and its artifact err equally often, by McNemar's exact test."""

from __future__ import annotations

import math

import numpy as np

from edgeml.core.records.evidence import McNemar

__all__ = ["discordant", "mcnemar_of"]


def discordant(truth: np.ndarray, source: np.ndarray, artifact: np.ndarray) -> tuple[int, int]:
    """How many samples the source alone gets right, and how many the artifact alone; all ``[samples]``."""
    before, after = truth == source, truth == artifact
    return int((before & ~after).sum()), int((~before & after).sum())


def mcnemar_of(truth: np.ndarray, source: np.ndarray, artifact: np.ndarray) -> McNemar:
    """The test of a classifier against its artifact.

    Args:
        truth: Positions of the true labels ``[samples]``.
        source: Positions of the source's labels.
        artifact: The artifact's.
    """
    lost, gained = discordant(truth, source, artifact)
    return McNemar(lost, gained, _p_value(lost, gained))


def _p_value(lost: int, gained: int) -> float:
    """Twice the lower tail of the binomial distribution with a half, which is symmetric.

    The tail's largest term is found by its logarithm, for binomial coefficients of many samples are too large for
    floats, and the others from it, each by its ratio to the one before.
    """
    total, fewer = lost + gained, min(lost, gained)
    below = np.arange(fewer, 0, -1, dtype=np.float64)
    tail = 1 + float(np.cumprod(below / (total - below + 1)).sum())
    log_largest = math.lgamma(total + 1) - math.lgamma(fewer + 1) - math.lgamma(total - fewer + 1)
    return min(1.0, 2 * tail * math.exp(log_largest - total * math.log(2)))
