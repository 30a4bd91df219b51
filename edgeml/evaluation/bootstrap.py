"""The interval of a mean by resampling."""

from __future__ import annotations

import numpy as np

__all__ = ["RESAMPLES", "mean_interval"]

RESAMPLES = 1000
_CHUNK = 50  # resamples at a time, which bounds the memory


def mean_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """The 95% percentile bootstrap interval of the mean of ``[samples]``."""
    rng = np.random.default_rng(seed)
    means = [
        values[rng.integers(len(values), size=(_CHUNK, len(values)))].mean(axis=1) for _ in range(RESAMPLES // _CHUNK)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)
