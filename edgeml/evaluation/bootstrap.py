"""The interval of a mean by resampling."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["NORMAL_95", "RESAMPLES", "mean_interval"]

RESAMPLES = 1000
_CHUNK = 50  # resamples at a time, which bounds the memory
NORMAL_95 = 1.959963984540054
"""Standard deviations of the normal distribution on either side of a 95% interval."""


def mean_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """The 95% bootstrap interval of the mean of ``[samples]``, two or more.

    That of percentiles, stretched about the mean. By itself it is as narrow as one by the normal distribution with
    the deviation divided by n, which of ten samples holds the mean in 90% of all cases, and of three in 75%; so it is
    widened to Student's t and n - 1 (on this narrowness Hesterberg, The American Statistician 69, 2015).
    """
    rng = np.random.default_rng(seed)
    means = [
        values[rng.integers(len(values), size=(_CHUNK, len(values)))].mean(axis=1) for _ in range(RESAMPLES // _CHUNK)
    ]
    ends = np.quantile(np.concatenate(means), [0.025, 0.975])
    mean = float(values.mean())
    low, high = mean + (ends - mean) * _stretch(len(values))
    return float(low), float(high)


def _stretch(samples: int) -> float:
    """From the normal distribution to Student's t, by an expansion that is within 1% from three samples on.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z, freedom = NORMAL_95, max(1, samples - 1)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    student = z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))
    return student / z * math.sqrt((freedom + 1) / freedom)
