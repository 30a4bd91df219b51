"""MLPerf's four scenarios: single-stream, multi-stream, offline and server."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np

from edgeml.core.errors import InputError
from edgeml.measurement.timing import Call, CallTimes, Clock, elapsed_ns, time_calls

__all__ = ["MIN_QUERIES", "Server", "ServerRun", "find_highest_rate", "run_back_to_back", "serve"]

Server = Callable[[int], object]
"""Serves the given number of queries in one call."""

MIN_QUERIES = {"single-stream": 64, "multi-stream": 100, "offline": 3}
"""Minimum number of queries: the p90 of a single stream has an interval from 36 queries on, and a p99 exists from 100
on; an offline query takes long."""

_MAX_LATE = 0.01  # share of queries that may miss the bound, which is on the 99th percentile
_MIN_SERVED = 500  # from 368 queries on, the 99th percentile has an upper end
_SPIN_S = 2e-4  # overrun of a sleep
_RATE_TOLERANCE = 1.03  # ratio of the lowest rate that misses the bound to the highest that meets it, to stop at
_MAX_PROBES = 20
_STEP = 2.0  # factor between rates until one meets the bound
_MIN_RATE_DIVISOR = 50  # at this fraction of the back-to-back rate, queries hardly wait: single ones miss the bound too


@dataclass(frozen=True, slots=True)
class ServerRun:
    """Result of a server under load.

    Attributes:
        rate: Arrival rate, in queries per second.
        latencies_ns: Time of each query ``[queries]`` from its scheduled arrival to its output.
        bound_met: Whether at most 1% of the queries missed the bound.
        seconds: Duration of the run.
    """

    rate: float
    latencies_ns: np.ndarray
    bound_met: bool
    seconds: float


def run_back_to_back(
    call: Call,
    *,
    scenario: str,
    seconds: float,
    on_start: Call | None = None,
    on_pause: Call | None = None,
    clock_ns: Clock = perf_counter_ns,
) -> CallTimes:
    """Time queries one after the other, as in all scenarios except server.

    Args:
        call: Runs a query.
        scenario: Name of the scenario, which decides the minimum number of queries.
        seconds: Minimum duration. The warm-up may take as long, or half a second if that is longer.
        on_start: Called between the warm-up and the first timed query.
        on_pause: Called between two timed queries, at most every hundredth of a second.
        clock_ns: The clock.

    Raises:
        TargetError: The clock went back.
    """
    return time_calls(
        call,
        min_ns=round(seconds * 1e9),
        min_calls=MIN_QUERIES[scenario],
        warm_up_limit_ns=round(max(seconds, 0.5) * 1e9),
        on_start=on_start,
        on_pause=on_pause,
        clock_ns=clock_ns,
    )


def serve(
    call: Server,
    *,
    rate: float,
    bound_ms: float,
    seconds: float,
    seed: int,
    batch: int = 1,
    clock_ns: Clock = perf_counter_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> ServerRun:
    """Serve queries that arrive as a Poisson process, in order, with all waiting queries in one call.

    The server does not wait to fill a batch: when it is free, it takes the queries that have arrived, up to the batch
    size. The latency of a query counts from its scheduled arrival and so includes the time in the queue; a server that
    falls behind does not slow the arrivals down. The run ends early once more than 1% of all queries have missed the
    bound.

    Args:
        call: Serves queries.
        rate: Arrival rate, in queries per second.
        bound_ms: Bound on the 99th percentile of latency.
        seconds: Minimum duration of the arrivals, of which there are at least 500.
        seed: Seed of the arrivals.
        batch: Maximum number of queries in one call.
        clock_ns: The clock.
        sleep: Waits for a number of seconds on that clock.

    Raises:
        TargetError: The clock went back.
    """
    count = max(_MIN_SERVED, math.ceil(rate * seconds))
    intervals = np.random.default_rng(seed).exponential(1e9 / rate, count)
    arrivals = np.cumsum(intervals).astype(np.int64).tolist()
    bound_ns, max_late, late = bound_ms * 1e6, math.floor(_MAX_LATE * count), 0
    latencies = array("q")
    opened = last = clock_ns()
    while len(latencies) < count and late <= max_late:
        first = len(latencies)
        due = opened + arrivals[first]
        while (now := clock_ns()) < due:
            if (remaining_s := (due - now) / 1e9) > _SPIN_S:
                sleep(remaining_s - _SPIN_S)
        end = first + 1
        while end < min(first + batch, count) and opened + arrivals[end] <= now:
            end += 1
        call(end - first)
        now = clock_ns()
        elapsed_ns(last, now)
        last = now
        for arrival in arrivals[first:end]:
            latencies.append(now - opened - arrival)
            late += now - opened - arrival > bound_ns
    return ServerRun(rate, np.frombuffer(latencies, np.int64), late <= max_late, elapsed_ns(opened, last) / 1e9)


def find_highest_rate(
    call: Server,
    *,
    max_rate: float,
    bound_ms: float,
    seconds: float,
    seed: int,
    batch: int = 1,
    clock_ns: Clock = perf_counter_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> ServerRun:
    """Find the highest rate that meets the bound, to 3%, by bisection on a logarithmic scale.

    The search starts at the top: a server that cannot meet the bound fails fast there, while the 500 queries of a low
    rate take long.

    Args:
        call: Serves queries.
        max_rate: Rate above any that can meet the bound: that of queries back to back.
        bound_ms: Bound on the 99th percentile of latency.
        seconds: Minimum duration of each trial.
        seed: Seed of the arrivals, which differ between trials.
        batch: Maximum number of queries in one call.
        clock_ns: The clock.
        sleep: Waits for a number of seconds on that clock.

    Returns:
        The run at that rate; or a run that missed the bound, if even a fiftieth of `max_rate` does.

    Raises:
        InputError: The bound is not a positive number.
        TargetError: The clock went back.
    """
    if not (math.isfinite(bound_ms) and bound_ms > 0):
        raise InputError(f"The latency bound is {bound_ms} ms, expected more than 0.")
    low, high, best = 0.0, max_rate, None
    for probe in range(_MAX_PROBES):
        rate = math.sqrt(low * high) if best is not None else max(max_rate / _MIN_RATE_DIVISOR, high / _STEP)
        run = serve(
            call,
            rate=rate,
            bound_ms=bound_ms,
            seconds=seconds,
            seed=seed + probe,
            batch=batch,
            clock_ns=clock_ns,
            sleep=sleep,
        )
        if run.bound_met:
            best, low = run, rate
        elif rate <= max_rate / _MIN_RATE_DIVISOR:
            return run
        else:
            high = rate
        if high <= _RATE_TOLERANCE * low:
            break
    assert best is not None
    return best
