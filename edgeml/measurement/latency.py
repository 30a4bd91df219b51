"""Latency of one sample through a session, for a package's evidence."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from edgeml.core.records.evidence import Latency
from edgeml.measurement.timing import time_calls

__all__ = ["measure_latency"]

_WARM_UP_NS = 300_000_000
_MIN_NS = 300_000_000
_MIN_RUNS = 60  # below some 60 samples the 95th percentile is little more than the maximum
_MAX_RUNS = 20_000


def measure_latency(call: Callable[[], object], *, clock_ns: Callable[[], int] = perf_counter_ns) -> Latency:
    """Time a call: warm-up until steady, then at least 60 runs and 0.3 s.

    Args:
        call: Runs one sample.
        clock_ns: Monotonic clock, in nanoseconds.

    Raises:
        TargetError: The clock went back.
    """
    times = time_calls(
        call,
        min_ns=_MIN_NS,
        min_calls=_MIN_RUNS,
        max_calls=_MAX_RUNS,
        warm_up_limit_ns=_WARM_UP_NS,
        clock_ns=clock_ns,
    )
    milliseconds = times.times_ns / 1e6
    return Latency(len(milliseconds), float(np.median(milliseconds)), float(np.quantile(milliseconds, 0.95)))
