"""Times of a call made again and again: clock, warm-up until steady, least duration and least count."""

from __future__ import annotations

import statistics
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter_ns

import numpy as np

from edgeml.core.errors import InputError

__all__ = ["Call", "Clock", "Timed", "Timer", "clock_cost_ns", "timed", "warm_up"]

Call = Callable[[], object]
Clock = Callable[[], int]
"""A monotonic clock, in nanoseconds."""

_LOOKS = 1000  # at the clock
_MATTERS_NS = 10_000  # from here on the clock's cost, some 50 ns, is below half a percent
_TICKS = 20  # a call must last for so many ticks of the clock, for an error of at most 5%

_PAUSE_NS = 10_000_000
_WINDOW_NS = 15_000_000
_WINDOW_CALLS = 3
_WINDOWS = 3
_STEADY = 1.05  # the largest of the last windows' medians by the smallest


@dataclass(frozen=True, slots=True)
class Timer:
    """What a look at the clock costs and tells.

    Attributes:
        cost_ns: Between two looks at once.
        tick_ns: The smallest difference between two of these times; 0 where they are all alike.
    """

    cost_ns: float
    tick_ns: float


@dataclass(frozen=True, slots=True)
class Timed:
    """Times of a call.

    Attributes:
        times_ns: Of each call ``[calls]`` in the order taken, less the clock's cost where it matters. Where several
            calls were timed together, their mean.
        together: Calls that were timed together, since one is too short for the clock; else 1.
        warm_up: Calls before, that were not counted.
        steady: Whether the warm-up ended because the times had become steady.
        seconds: How long the counted calls took, all in all.
    """

    times_ns: np.ndarray
    together: int
    warm_up: int
    steady: bool
    seconds: float


def clock_cost_ns(clock_ns: Clock = perf_counter_ns) -> Timer:
    """Looks at the clock many times in a row."""
    looks = [clock_ns() for _ in range(_LOOKS)]
    steps = [elapsed(before, after) for before, after in pairwise(looks)]
    ticks = (longer - shorter for shorter, longer in pairwise(sorted(set(steps))))
    return Timer(statistics.median(steps), min(ticks, default=0))


def elapsed(before: int, after: int) -> int:
    """Nanoseconds between two looks at the clock.

    Raises:
        InputError: It went back.
    """
    if after < before:
        raise InputError(
            f"The clock went back by {before - after} ns while it timed.",
            fix="measure where the clock is monotonic; a virtual machine that moves or sleeps may need a restart.",
        )
    return after - before


def warm_up(call: Call, *, limit_ns: int, clock_ns: Clock = perf_counter_ns) -> tuple[int, bool, float]:
    """Calls until it is steady: the medians of three windows in a row lie within 5% of each other.

    A window lasts for 15 ms and 3 calls at least.

    Args:
        call: What is called.
        limit_ns: When to go on without.
        clock_ns: The clock.

    Returns:
        The number of calls, whether they became steady, and the last window's median in nanoseconds.
    """
    begin, count, medians = clock_ns(), 0, list[float]()
    while True:
        window = list[int]()
        opened = now = clock_ns()
        while len(window) < _WINDOW_CALLS or now - opened < _WINDOW_NS:
            start = clock_ns()
            call()
            now = clock_ns()
            window.append(elapsed(start, now))
        count += len(window)
        medians.append(statistics.median(window))
        last = medians[-_WINDOWS:]
        if len(last) == _WINDOWS and max(last) <= _STEADY * min(last):
            return count, True, medians[-1]
        if elapsed(begin, now) >= limit_ns:
            return count, False, medians[-1]


def timed(
    call: Call,
    *,
    least_ns: int,
    least_calls: int,
    warm_up_limit_ns: int,
    most_calls: int | None = None,
    began: Call | None = None,
    between: Call | None = None,
    clock_ns: Clock = perf_counter_ns,
) -> Timed:
    """Times a call until both a duration and a count are reached.

    Args:
        call: What is timed.
        least_ns: The duration.
        least_calls: The count.
        warm_up_limit_ns: How long it may take to become steady.
        most_calls: The count at which to stop although the duration is not reached; None for none.
        began: Called between the warm-up and the first call that counts.
        between: Called between two calls, every hundredth of a second or less often.
        clock_ns: The clock.

    Raises:
        InputError: The clock went back.
    """
    timer = clock_cost_ns(clock_ns)
    warmed, steady, median_ns = warm_up(call, limit_ns=warm_up_limit_ns, clock_ns=clock_ns)
    net_ns = median_ns - timer.cost_ns
    together = 1
    if net_ns < _TICKS * timer.tick_ns:
        together = int(_TICKS * timer.tick_ns // max(net_ns, timer.tick_ns / _LOOKS)) + 1
    if began is not None:
        began()
    times = array("q")
    keep = times.append
    opened = now = clock_ns()
    deadline = opened + least_ns
    pause = opened if between is not None else sys.maxsize
    again = range(together)
    while len(times) < least_calls or (now < deadline and len(times) != most_calls):
        if now >= pause and between is not None:
            between()
            pause = now + _PAUSE_NS
        if together == 1:
            start = clock_ns()
            call()
            now = clock_ns()
        else:
            start = clock_ns()
            for _ in again:
                call()
            now = clock_ns()
        keep(now - start)
    found = np.frombuffer(times, np.int64)
    if found.min() < 0:
        elapsed(0, int(found.min()))
    cost_ns = timer.cost_ns if np.median(found) < _MATTERS_NS else 0.0
    return Timed(np.maximum(found - cost_ns, 0) / together, together, warmed, steady, elapsed(opened, now) / 1e9)
