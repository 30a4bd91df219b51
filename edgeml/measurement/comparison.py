"""Which of two is faster: both measured in turn in one run, and a ratio whose interval bears drift and bursts."""

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
from edgeml.measurement.conditions import Watch
from edgeml.measurement.quantiles import median
from edgeml.measurement.timing import Call, Clock, clock_cost_ns, elapsed, warm_up

__all__ = ["Opener", "Verdict", "compare", "verdict"]

Opener = Callable[[], AbstractContextManager[Call]]
"""Makes a call ready, anew each time."""
Verdict = Literal["faster", "slower", "indistinguishable"]

_BLOCKS = 40
_LEAST_BLOCKS = 6  # below, no two of them bound a median with 95%
_PATIENCE = 4  # times the seconds, for calls too slow for six blocks
_SLICE_NS = 2_000_000  # shorter than a scheduler's time slice, so that a burst hits few of them
_LEAST_ROUNDS = 3


def compare(
    what: str,
    first: Opener,
    beside: str,
    second: Opener,
    *,
    seconds: float,
    seed: int,
    clock_ns: Clock = perf_counter_ns,
) -> Comparison:
    """Time of the first by time of the second.

    The run is a series of some 40 blocks. Each makes both ready anew, since where memory comes to lie alone may
    change a time by some percent, and then times slices of 2 ms of both in turn, in random order; its ratio is the
    median of its rounds' ratios of the slices' medians. What the machine does for longer than a round falls on both.
    The result is the median of the blocks' ratios, with its interval by order statistics: it supposes nothing of how
    they are distributed. The ends stand a tick of the clock further out: less than that no count can tell apart.

    Args:
        what: The first's name.
        first: Makes it ready.
        beside: The second's name.
        second: Makes it ready.
        seconds: How long to measure. Slow calls take longer, for six blocks at least.
        seed: Of the orders.
        clock_ns: The clock.

    Raises:
        InputError: The clock went back.
    """
    orders, tick_ns = np.random.default_rng(seed), clock_cost_ns(clock_ns).tick_ns
    ratios, times_ns = list[float](), list[float]()
    watch, opened = Watch(), clock_ns()
    limit_ns = round(seconds * 1e9)
    while (passed := elapsed(opened, clock_ns())) < limit_ns or len(ratios) < _LEAST_BLOCKS:
        if passed > _PATIENCE * limit_ns and ratios:
            break
        block, time_ns = _block((first, second), limit_ns // _BLOCKS, orders, clock_ns)
        ratios.append(block)
        times_ns.append(time_ns)
    found, blur = median(np.array(ratios)), 1 + tick_ns / statistics.median(times_ns)
    ratio = Figure(
        found.value,
        None if found.low is None else found.low / blur,
        None if found.high is None else found.high * blur,
    )
    return Comparison(
        what=what,
        baseline=beside,
        ratio=ratio,
        verdict=verdict(ratio),
        rounds=len(ratios),
        conditions=watch.conditions(),
    )


def verdict(ratio: Figure) -> Verdict:
    """What a ratio of times says: nothing where its interval holds 1, or has not two ends."""
    if ratio.low is not None and ratio.high is not None:
        if ratio.low > 1:
            return "slower"
        if ratio.high < 1:
            return "faster"
    return "indistinguishable"


def _block(
    openers: tuple[Opener, Opener], budget_ns: int, orders: np.random.Generator, clock_ns: Clock
) -> tuple[float, float]:
    """The ratio of one block, and the second's time in nanoseconds."""
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
        while len(logs) < _LEAST_ROUNDS or elapsed(begin, clock_ns()) < budget_ns:
            medians = [0.0, 0.0]
            for side in orders.permutation(2):
                medians[side] = _slice(calls[side], runs[side], clock_ns)
            logs.append(math.log(medians[0] / medians[1]))
            times_ns.append(medians[1])
    return math.exp(statistics.median(logs)), statistics.median(times_ns)


def _slice(call: Call, runs: int, clock_ns: Clock) -> float:
    """Nanoseconds of a call, the median of some."""
    times = list[int]()
    for _ in range(runs):
        start = clock_ns()
        call()
        times.append(elapsed(start, clock_ns()))
    return max(1.0, statistics.median(times))
