"""Quantiles and rates of measured times with 95% intervals, as far as the number of times supports them."""

from __future__ import annotations

import math

import numpy as np

from edgeml.core.records.benchmark_results import Figure, Quantile

__all__ = ["QUANTILES", "median", "quantile", "quantiles", "rate"]

QUANTILES = (0.5, 0.9, 0.95, 0.99)

_TAIL = 0.025  # probability on either side of a 95% interval
_BATCHES = 20
_STUDENT = 2.093  # the 97.5% point of Student's t with 19 degrees of freedom
_FAR = 12.0  # standard deviations; beyond them the binomial's mass is below 1e-30


def quantile(ordered: np.ndarray, at: float) -> Figure | None:
    """Estimate a quantile with a distribution-free interval, by order statistics.

    The estimate is the nearest rank. The ends are the two times beyond which, by the binomial distribution, the true
    quantile lies with a probability of at most 2.5% on either side, for independent times of any distribution (David
    and Nagaraja, Order Statistics, section 7.1).

    Args:
        ordered: Times ``[count]``, sorted.
        at: Level of the quantile, between 0 and 1.

    Returns:
        The estimate and its interval; None if no time is above the estimate. An end is None if even the smallest or
        largest time does not bound the quantile.
    """
    count = len(ordered)
    rank = math.ceil(at * count - 1e-9)  # 0.9 * 10 is slightly more than 9 in floating point
    if not 1 <= rank < count:
        return None
    low, high = _ranks(count, at)
    return Figure(
        float(ordered[rank - 1]),
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= count else None,
    )


def median(values: np.ndarray) -> Figure:
    """Estimate the median of values ``[count]``, with an interval by order statistics if the count supports one."""
    estimate = quantile(np.sort(values), 0.5)
    return Figure(float(np.median(values)), *((estimate.low, estimate.high) if estimate is not None else ()))


def quantiles(times_ms: np.ndarray) -> tuple[Quantile, ...]:
    """Estimate median, p90, p95 and p99, as far as the count supports them.

    Args:
        times_ms: Times ``[count]`` in milliseconds, in any order.
    """
    ordered = np.sort(times_ms)
    estimates = ((at, quantile(ordered, at)) for at in QUANTILES)
    return tuple(Quantile(at, figure) for at, figure in estimates if figure is not None)


def rate(seconds: np.ndarray, samples: int) -> Figure:
    """Estimate the samples per second of consecutive calls, with an interval by batch means.

    The calls are divided, in order, into twenty segments; Student's t over the means of the segments is robust to
    correlations within a segment (Law, Simulation Modeling and Analysis, section 9.5.3). The interval requires at least
    40 calls.

    Args:
        seconds: Time of each call ``[calls]``, in order.
        samples: Samples per call.
    """
    mean = float(seconds.mean())
    if len(seconds) < 2 * _BATCHES:
        return Figure(samples / mean)
    size = len(seconds) // _BATCHES
    means = seconds[-size * _BATCHES :].reshape(_BATCHES, size).mean(axis=1)
    margin = _STUDENT * float(means.std(ddof=1)) / math.sqrt(_BATCHES)
    return Figure(samples / mean, samples / (mean + margin), samples / (mean - margin) if margin < mean else None)


def _ranks(count: int, at: float) -> tuple[int, int]:
    """Return the ranks, from 1, of the interval's ends; 0 and ``count + 1`` denote a missing end."""
    spread = _FAR * math.sqrt(count * at * (1 - at)) + _FAR
    first, last = max(0, math.floor(count * at - spread)), min(count, math.ceil(count * at + spread))
    hits = range(first, last + 1)
    log_total = math.lgamma(count + 1)
    logs = [
        log_total - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * math.log(at) + (count - k) * math.log1p(-at)
        for k in hits
    ]
    below = np.cumsum(np.exp(logs))  # P(hits <= k)
    low = first + int(np.searchsorted(below, _TAIL, side="right"))
    high = first + int(np.searchsorted(below, 1 - _TAIL, side="left")) + 1
    return low, high
