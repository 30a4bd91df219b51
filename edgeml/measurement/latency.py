"""Latency of one sample through a session, as a package's evidence has it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from edgeml.core.records.evidence import Latency
from edgeml.measurement.timing import timed

__all__ = ["measure_latency"]

_WARM_UP_NS = 300_000_000
_LEAST_NS = 300_000_000
_LEAST_RUNS = 60  # below some 60 samples the 95th percentile is little more than the maximum
_MOST_RUNS = 20_000


def measure_latency(call: Callable[[], object], *, clock_ns: Callable[[], int] = perf_counter_ns) -> Latency:
    """Times a call: warm-up until steady, then at least 60 runs and 0.3 s.

    Args:
        call: Runs one sample.
        clock_ns: A monotonic clock, in nanoseconds.
    """
    found = timed(
        call,
        least_ns=_LEAST_NS,
        least_calls=_LEAST_RUNS,
        most_calls=_MOST_RUNS,
        warm_up_limit_ns=_WARM_UP_NS,
        clock_ns=clock_ns,
    )
    milliseconds = found.times_ns / 1e6
    return Latency(len(milliseconds), float(np.median(milliseconds)), float(np.quantile(milliseconds, 0.95)))
