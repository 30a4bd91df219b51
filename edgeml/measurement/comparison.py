"""Comparison of two calls, measured in turn in one run, by a ratio robust to drift and bursts."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter_ns
from typing import Literal

import numpy as np

from edgeml.core.records.benchmark_results import Comparison, Figure
from edgeml.measurement.conditions import ConditionMonitor
from edgeml.measurement.quantiles import median
from edgeml.measurement.timing import Call, Clock, elapsed_ns, measure_clock, warm_up

__all__ = ["Opener", "SpeedVerdict", "compare", "judge_ratio"]

Opener = Callable[[], AbstractContextManager[Call]]
"""Context manager factory that sets up a call, anew each time."""
SpeedVerdict = Literal["faster", "slower", "indistinguishable"]

_BLOCKS = 40
_MIN_BLOCKS = 6  # fewer do not give a 95% interval of a median
_TIMEOUT_FACTOR = 4  # limit on the duration, as a multiple of the seconds, for calls too slow for six blocks
_SLICE_NS = 2_000_000  # shorter than a scheduler's time slice, so that a burst hits few slices
_MIN_ROUNDS = 3


def compare(
    first_name: str,
    first: Opener,
    second_name: str,
    second: Opener,
    *,
    seconds: float,
    seed: int,
    clock_ns: Clock = perf_counter_ns,
) -> Comparison:
    """Measure two calls in turn, and divide the time of the first by the time of the second.

    The run is a series of some 40 blocks. Each block sets up both calls anew, since memory layout alone may change a
    time by some percent, and then times slices of 2 ms of both in turn, in random order; its ratio is the median of
    the ratios of its rounds. Disturbances that last longer than a round affect both calls. The result is the median of
    the blocks' ratios, with an interval by order statistics, which does not assume a distribution. The ends are a tick
    of the clock further out, since the clock cannot resolve less.

    Args:
        first_name: Name of the first call.
        first: Sets up the first call.
        second_name: Name of the second call.
        second: Sets up the second call.
        seconds: Duration. Slow calls take longer, for at least six blocks.
        seed: Seed of the orders.
        clock_ns: The clock.

    Raises:
        TargetError: The clock went back.
    """
    orders, tick_ns = np.random.default_rng(seed), measure_clock(clock_ns).tick_ns
    ratios, times_ns = list[float](), list[float]()
    monitor, start = ConditionMonitor(), clock_ns()
    limit_ns = round(seconds * 1e9)
    while (passed_ns := elapsed_ns(start, clock_ns())) < limit_ns or len(ratios) < _MIN_BLOCKS:
        if passed_ns > _TIMEOUT_FACTOR * limit_ns and ratios:
            break
        block, time_ns = _block((first, second), limit_ns // _BLOCKS, orders, clock_ns)
        ratios.append(block)
        times_ns.append(time_ns)
    estimate, widening = median(np.array(ratios)), 1 + tick_ns / statistics.median(times_ns)
    ratio = Figure(
        estimate.value,
        None if estimate.low is None else estimate.low / widening,
        None if estimate.high is None else estimate.high * widening,
    )
    return Comparison(
        what=first_name,
        baseline=second_name,
        ratio=ratio,
        verdict=judge_ratio(ratio),
        rounds=len(ratios),
        conditions=monitor.conditions(),
    )


def judge_ratio(ratio: Figure) -> SpeedVerdict:
    """Judge a ratio of times; it is indistinguishable from 1 if its interval contains 1 or lacks an end."""
    if ratio.low is not None and ratio.high is not None:
        if ratio.low > 1:
            return "slower"
        if ratio.high < 1:
            return "faster"
    return "indistinguishable"


def _block(
    openers: tuple[Opener, Opener], budget_ns: int, orders: np.random.Generator, clock_ns: Clock
) -> tuple[float, float]:
    """Return the ratio of one block, and the time of the second call in nanoseconds."""
    with contextlib.ExitStack() as stack:
        calls: list[Call] = [lambda: None, lambda: None]
        for side in orders.permutation(2):
            calls[side] = stack.enter_context(openers[side]())
        begin = clock_ns()
        runs = [0, 0]
        for side in orders.permutation(2):
            _, _, median_ns = warm_up(calls[side], limit_ns=budget_ns // 4, clock_ns=clock_ns)
            runs[side] = max(1, round(_SLICE_NS / max(median_ns, 1.0)))
        logs, times_ns = list[float](), list[float]()
        while len(logs) < _MIN_ROUNDS or elapsed_ns(begin, clock_ns()) < budget_ns:
            medians = [0.0, 0.0]
            for side in orders.permutation(2):
                medians[side] = _slice(calls[side], runs[side], clock_ns)
            logs.append(math.log(medians[0] / medians[1]))
            times_ns.append(medians[1])
    return math.exp(statistics.median(logs)), statistics.median(times_ns)


def _slice(call: Call, runs: int, clock_ns: Clock) -> float:
    """Return the median time of a number of calls, in nanoseconds."""
    times = list[int]()
    for _ in range(runs):
        start = clock_ns()
        call()
        times.append(elapsed_ns(start, clock_ns()))
    return max(1.0, statistics.median(times))
