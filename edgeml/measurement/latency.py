"""Latency of one sample through a session."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from edgeml.core.evidence import Latency

__all__ = ["measure_latency"]

_WARM_UP_NS = 50_000_000
_LEAST_NS = 300_000_000
_LEAST_RUNS = 60  # below some 60 samples the 95th percentile is little more than the maximum
_MOST_RUNS = 20_000


def measure_latency(call: Callable[[], object], *, clock_ns: Callable[[], int] = perf_counter_ns) -> Latency:
    """Times a call: warm-up, then at least 60 runs and 0.3 s.

    Args:
        call: Runs one sample.
        clock_ns: A monotonic clock, in nanoseconds.
    """
    begin = clock_ns()
    while clock_ns() - begin < _WARM_UP_NS:
        call()
    times: list[int] = []
    begin = clock_ns()
    while len(times) < _LEAST_RUNS or (clock_ns() - begin < _LEAST_NS and len(times) < _MOST_RUNS):
        start = clock_ns()
        call()
        times.append(clock_ns() - start)
    milliseconds = np.array(times) / 1e6
    return Latency(len(times), float(np.median(milliseconds)), float(np.quantile(milliseconds, 0.95)))
