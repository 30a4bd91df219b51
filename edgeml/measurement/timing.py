"""Timing of repeated calls: cost of the clock, warm-up until steady, minimum duration and minimum count."""

from __future__ import annotations

import statistics
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter_ns

import numpy as np

from edgeml.core.errors import TargetError

__all__ = ["Call", "CallTimes", "Clock", "ClockCost", "measure_clock", "time_calls", "warm_up"]

Call = Callable[[], object]
Clock = Callable[[], int]
"""Monotonic clock, in nanoseconds."""

_CLOCK_READS = 1000
_NEGLIGIBLE_FROM_NS = 10_000  # from here on the clock's cost of some 50 ns is below half a percent
_MIN_TICKS = 20  # minimum length of a call in ticks of the clock, for an error of at most 5%

_PAUSE_NS = 10_000_000
_WINDOW_NS = 15_000_000
_WINDOW_CALLS = 3
_WINDOWS = 3
_STEADY = 1.05  # maximum ratio of the largest to the smallest median of the last windows


@dataclass(frozen=True, slots=True)
class ClockCost:
    """Cost and resolution of a clock.

    Attributes:
        cost_ns: Median time between two consecutive reads.
        tick_ns: Smallest difference between two of these times; 0 if all are equal.
    """

    cost_ns: float
    tick_ns: float


@dataclass(frozen=True, slots=True)
class CallTimes:
    """Times of a call.

    Attributes:
        times_ns: Time of each call ``[calls]``, in order, less the clock's cost unless that is negligible; the mean of
            calls that were timed together.
        calls_per_time: Calls that were timed together, since a single call is too short for the clock; otherwise 1.
        warm_up: Calls before the measurement.
        steady: Whether the warm-up ended because the times had become steady.
        seconds: Total duration of the timed calls.
    """

    times_ns: np.ndarray
    calls_per_time: int
    warm_up: int
    steady: bool
    seconds: float


def measure_clock(clock_ns: Clock = perf_counter_ns) -> ClockCost:
    """Measure cost and resolution of a clock by reading it many times in a row."""
    reads = [clock_ns() for _ in range(_CLOCK_READS)]
    steps = [elapsed_ns(before, after) for before, after in pairwise(reads)]
    ticks = (longer - shorter for shorter, longer in pairwise(sorted(set(steps))))
    return ClockCost(statistics.median(steps), min(ticks, default=0))


def elapsed_ns(before: int, after: int) -> int:
    """Return the nanoseconds between two reads of the clock.

    Raises:
        TargetError: The clock went back.
    """
    if after < before:
        raise TargetError(
            f"The clock went back by {before - after} ns during a measurement.",
            fix="measure where the clock is monotonic; a virtual machine that moves or sleeps may need a restart.",
        )
    return after - before


def warm_up(call: Call, *, limit_ns: int, clock_ns: Clock = perf_counter_ns) -> tuple[int, bool, float]:
    """Repeat a call until its time is steady: the medians of three consecutive windows lie within 5% of each other.

    A window lasts for at least 15 ms and 3 calls.

    Args:
        call: Call to repeat.
        limit_ns: Time after which to stop although the times are not steady.
        clock_ns: The clock.

    Returns:
        The number of calls, whether they became steady, and the last window's median in nanoseconds.

    Raises:
        TargetError: The clock went back.
    """
    begin, count, medians = clock_ns(), 0, list[float]()
    while True:
        window = list[int]()
        opened = now = clock_ns()
        while len(window) < _WINDOW_CALLS or now - opened < _WINDOW_NS:
            start = clock_ns()
            call()
            now = clock_ns()
            window.append(elapsed_ns(start, now))
        count += len(window)
        medians.append(statistics.median(window))
        last = medians[-_WINDOWS:]
        if len(last) == _WINDOWS and max(last) <= _STEADY * min(last):
            return count, True, medians[-1]
        if elapsed_ns(begin, now) >= limit_ns:
            return count, False, medians[-1]


def time_calls(
    call: Call,
    *,
    min_ns: int,
    min_calls: int,
    warm_up_limit_ns: int,
    max_calls: int | None = None,
    on_start: Call | None = None,
    on_pause: Call | None = None,
    clock_ns: Clock = perf_counter_ns,
) -> CallTimes:
    """Time a call repeatedly until both a duration and a count are reached.

    Args:
        call: Call to time.
        min_ns: Minimum duration.
        min_calls: Minimum number of calls.
        warm_up_limit_ns: Maximum duration of the warm-up.
        max_calls: Number of calls at which to stop although the duration is not reached; None for no limit.
        on_start: Called between the warm-up and the first timed call.
        on_pause: Called between two timed calls, at most every hundredth of a second.
        clock_ns: The clock.

    Raises:
        TargetError: The clock went back.
    """
    clock = measure_clock(clock_ns)
    warm_up_calls, steady, median_ns = warm_up(call, limit_ns=warm_up_limit_ns, clock_ns=clock_ns)
    net_ns = median_ns - clock.cost_ns
    calls_per_time = 1
    if net_ns < _MIN_TICKS * clock.tick_ns:
        calls_per_time = int(_MIN_TICKS * clock.tick_ns // max(net_ns, clock.tick_ns / _CLOCK_READS)) + 1
    if on_start is not None:
        on_start()
    times = array("q")
    append = times.append
    opened = now = clock_ns()
    deadline = opened + min_ns
    next_pause = opened if on_pause is not None else sys.maxsize
    repeats = range(calls_per_time)
    while len(times) < min_calls or (now < deadline and len(times) != max_calls):
        if now >= next_pause and on_pause is not None:
            on_pause()
            next_pause = now + _PAUSE_NS
        if calls_per_time == 1:
            start = clock_ns()
            call()
            now = clock_ns()
        else:
            start = clock_ns()
            for _ in repeats:
                call()
            now = clock_ns()
        append(now - start)
    measured = np.frombuffer(times, np.int64)
    if measured.min() < 0:
        elapsed_ns(0, int(measured.min()))
    cost_ns = clock.cost_ns if np.median(measured) < _NEGLIGIBLE_FROM_NS else 0.0
    times_ns = np.maximum(measured - cost_ns, 0) / calls_per_time
    return CallTimes(times_ns, calls_per_time, warm_up_calls, steady, elapsed_ns(opened, now) / 1e9)
