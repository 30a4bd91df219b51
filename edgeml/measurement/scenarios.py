"""MLPerf's four scenarios: a single stream, several streams, everything at once, and a server."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

import numpy as np

from edgeml.core.errors import InputError
from edgeml.measurement.timing import Call, Clock, Timed, elapsed, timed

__all__ = ["LEAST_QUERIES", "Served", "Server", "back_to_back", "highest_rate", "serve"]

Server = Callable[[int], object]
"""Serves so many queries in one call."""

LEAST_QUERIES = {"single-stream": 64, "multi-stream": 100, "offline": 3}
"""The p90 of a single stream has an interval from 36 queries on, and a p99 exists from 100 on; an offline query is
long."""

_LATE = 0.01  # of the queries may miss the bound: it is one on the 99th percentile
_LEAST_SERVED = 500  # from 368 on a 99th percentile has an upper end
_SPIN_S = 2e-4  # a sleep may overrun by as much
_CLOSE = 1.03  # the search ends where the rate that holds is this close to one that does not
_PROBES = 20
_STEP = 2.0  # down from one rate to the next until one holds
_LOWEST = 50  # part of what is served back to back; where that misses the bound, so do single queries


@dataclass(frozen=True, slots=True)
class Served:
    """A server under load.

    Attributes:
        rate: Queries a second that arrived.
        latencies_ns: Of each query that was served ``[queries]``, from its scheduled arrival to its answer.
        held: Whether at most 1% of the queries missed the bound.
        seconds: How long that took.
    """

    rate: float
    latencies_ns: np.ndarray
    held: bool
    seconds: float


def back_to_back(
    call: Call,
    *,
    scenario: str,
    seconds: float,
    began: Call | None = None,
    between: Call | None = None,
    clock_ns: Clock = perf_counter_ns,
) -> Timed:
    """Queries one after the other, as the scenarios but the server have them.

    Args:
        call: Runs a query.
        scenario: Its name, which decides on the least count.
        seconds: The least duration. The warm-up may take as long, and no less than half a second.
        began: Called between the warm-up and the first query that counts.
        between: Called between two queries, every hundredth of a second or less often.
        clock_ns: The clock.
    """
    return timed(
        call,
        least_ns=round(seconds * 1e9),
        least_calls=LEAST_QUERIES[scenario],
        warm_up_limit_ns=round(max(seconds, 0.5) * 1e9),
        began=began,
        between=between,
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
) -> Served:
    """Queries that arrive as a Poisson process and are served in their order, as many as wait in one call.

    The server waits for none: when it is free it takes what has arrived, up to the batch. A query's latency counts from
    its scheduled arrival, so that the time in the queue is in it, and a server that falls behind cannot slow the
    arrivals down. Ends early once more than 1% of all queries have missed the bound.

    Args:
        call: Serves queries.
        rate: Arrivals a second.
        bound_ms: For the 99th percentile of latency.
        seconds: Least duration of the arrivals; there are 500 at least.
        seed: Of the arrivals.
        batch: The most queries in one call.
        clock_ns: The clock.
        sleep: Waits for so many seconds by that clock.
    """
    count = max(_LEAST_SERVED, math.ceil(rate * seconds))
    gaps = np.random.default_rng(seed).exponential(1e9 / rate, count)
    arrivals = np.cumsum(gaps).astype(np.int64).tolist()
    bound_ns, allowed, late = bound_ms * 1e6, math.floor(_LATE * count), 0
    latencies = array("q")
    opened = last = clock_ns()
    while len(latencies) < count and late <= allowed:
        first = len(latencies)
        due = opened + arrivals[first]
        while (now := clock_ns()) < due:
            if (left_s := (due - now) / 1e9) > _SPIN_S:
                sleep(left_s - _SPIN_S)
        end = first + 1
        while end < min(first + batch, count) and opened + arrivals[end] <= now:
            end += 1
        call(end - first)
        now = clock_ns()
        elapsed(last, now)
        last = now
        for arrival in arrivals[first:end]:
            latencies.append(now - opened - arrival)
            late += now - opened - arrival > bound_ns
    return Served(rate, np.frombuffer(latencies, np.int64), late <= allowed, elapsed(opened, last) / 1e9)


def highest_rate(
    call: Server,
    *,
    most: float,
    bound_ms: float,
    seconds: float,
    seed: int,
    batch: int = 1,
    clock_ns: Clock = perf_counter_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> Served:
    """The highest rate that holds the bound, by bisection on a logarithmic scale, to 3%.

    It is sought from above: there a server that cannot hold the bound is soon seen, while the 500 queries of a low
    rate take long.

    Args:
        call: Serves queries.
        most: A rate above what can hold: that of queries back to back.
        bound_ms: For the 99th percentile of latency.
        seconds: Least duration of each try.
        seed: Of the arrivals; each try has others.
        batch: The most queries in one call.
        clock_ns: The clock.
        sleep: Waits for so many seconds by that clock.

    Returns:
        The run at that rate; or one that missed the bound, where even a fiftieth of `most` does.

    Raises:
        InputError: The bound is no time, or the clock went back.
    """
    if not (math.isfinite(bound_ms) and bound_ms > 0):
        raise InputError(f"The latency bound is {bound_ms} ms, expected more than 0.")
    low, high, best = 0.0, most, None
    for probe in range(_PROBES):
        rate = math.sqrt(low * high) if best is not None else max(most / _LOWEST, high / _STEP)
        found = serve(
            call,
            rate=rate,
            bound_ms=bound_ms,
            seconds=seconds,
            seed=seed + probe,
            batch=batch,
            clock_ns=clock_ns,
            sleep=sleep,
        )
        if found.held:
            best, low = found, rate
        elif rate <= most / _LOWEST:
            return found
        else:
            high = rate
        if high <= _CLOSE * low:
            break
    assert best is not None
    return best
