"""Quantiles and rates of measured times with 95% intervals, and what the count of times does not support left out."""

from __future__ import annotations

import math

import numpy as np

from edgeml.core.records.benchmark_results import Figure, Quantile

__all__ = ["QUANTILES", "median", "quantile", "quantiles", "rate"]

QUANTILES = (0.5, 0.9, 0.95, 0.99)

_TAIL = 0.025  # of either side of a 95% interval
_BATCHES = 20
_STUDENT = 2.093  # the 97.5% point of Student's t with 19 degrees of freedom
_FAR = 12.0  # standard deviations; beyond them the binomial's mass is below 1e-30


def quantile(ordered: np.ndarray, at: float) -> Figure | None:
    """A quantile with a distribution-free interval, by order statistics.

    The estimate is the nearest rank. The ends are those two times of which the binomial distribution says that the
    true quantile lies outside with at most 2.5% on either side, whatever the times' distribution, as long as they are
    independent (David and Nagaraja, Order Statistics, section 7.1).

    Args:
        ordered: Times ``[count]``, sorted.
        at: Which quantile, between 0 and 1.

    Returns:
        None where no time would lie above the estimate; an end is None where even the smallest or the largest time
        does not bound it.
    """
    count = len(ordered)
    rank = math.ceil(at * count - 1e-9)  # 0.9 * 10 is a little more than 9 to a computer
    if not 1 <= rank < count:
        return None
    low, high = _ranks(count, at)
    return Figure(
        float(ordered[rank - 1]),
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= count else None,
    )


def median(values: np.ndarray) -> Figure:
    """The median of any number of values ``[count]``, with such an interval where the count supports one."""
    found = quantile(np.sort(values), 0.5)
    return Figure(float(np.median(values)), *((found.low, found.high) if found is not None else ()))


def quantiles(times_ms: np.ndarray) -> tuple[Quantile, ...]:
    """Median, p90, p95 and p99, those that the count supports.

    Args:
        times_ms: Times ``[count]`` in milliseconds, in any order.
    """
    ordered = np.sort(times_ms)
    found = ((at, quantile(ordered, at)) for at in QUANTILES)
    return tuple(Quantile(at, figure) for at, figure in found if figure is not None)


def rate(seconds: np.ndarray, samples: int) -> Figure:
    """Samples a second of calls that followed each other, with an interval by batch means.

    Twenty stretches of the calls, in their order, are averaged each; Student's t over them bears what lasts for less
    than a stretch (Law, Simulation Modeling and Analysis, section 9.5.3). Under 40 calls there is no interval.

    Args:
        seconds: Time of each call ``[calls]``, in the order taken.
        samples: Samples a call.
    """
    mean = float(seconds.mean())
    if len(seconds) < 2 * _BATCHES:
        return Figure(samples / mean)
    size = len(seconds) // _BATCHES
    means = seconds[-size * _BATCHES :].reshape(_BATCHES, size).mean(axis=1)
    margin = _STUDENT * float(means.std(ddof=1)) / math.sqrt(_BATCHES)
    return Figure(samples / mean, samples / (mean + margin), samples / (mean - margin) if margin < mean else None)


def _ranks(count: int, at: float) -> tuple[int, int]:
    """The ranks, from 1, of the interval's ends; 0 and ``count + 1`` stand for none."""
    spread = _FAR * math.sqrt(count * at * (1 - at)) + _FAR
    first, last = max(0, math.floor(count * at - spread)), min(count, math.ceil(count * at + spread))
    hits = range(first, last + 1)
    whole = math.lgamma(count + 1)
    logs = [
        whole - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * math.log(at) + (count - k) * math.log1p(-at)
        for k in hits
    ]
    below = np.cumsum(np.exp(logs))  # P(hits <= k)
    low = first + int(np.searchsorted(below, _TAIL, side="right"))
    high = first + int(np.searchsorted(below, 1 - _TAIL, side="left")) + 1
    return low, high
