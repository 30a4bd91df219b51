"""A server under load, by a clock that is the test's own, against queueing theory and a recursion."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import optimize

from edgeml.core.errors import InputError
from edgeml.measurement.scenarios import Server, find_highest_rate, serve
from tests.support.virtual_clock import VirtualClock

MS = 1_000_000


def serving(call: Callable[[], None]) -> Server:
    """A server whose calls take as long whatever they hold."""

    def serve(_: int) -> None:
        call()

    return serve


def steady(clock: VirtualClock) -> Server:
    """A millisecond for each call."""
    return serving(clock.call(itertools.repeat(MS)))


def test_latency_counts_from_the_scheduled_arrival() -> None:
    services = np.random.default_rng(5).gamma(2, 0.4, 4000)
    clock = VirtualClock(look_ns=1000)
    found = serve(
        serving(clock.call(iter(services * MS))),
        rate=900,
        bound_ms=1e6,
        seconds=4,
        seed=3,
        clock_ns=clock,
        sleep=clock.sleep,
    )
    arrivals = np.cumsum(np.random.default_rng(3).exponential(1000 / 900, 3600))
    free, expected = 0.0, []
    for arrival, service in zip(arrivals, services, strict=False):  # Lindley
        free = max(free, arrival) + service
        expected.append(free - arrival)
    assert len(found.latencies_ns) == 3600
    np.testing.assert_allclose(found.latencies_ns / MS, expected, atol=0.2)
    assert found.bound_met


def test_a_server_gathers_what_waits() -> None:
    clock, calls = VirtualClock(look_ns=100), list[int]()

    def call(count: int) -> None:
        """One millisecond, and a tenth for each query."""
        calls.append(count)
        clock.sleep((1 + 0.1 * count) / 1000)

    found = serve(call, rate=3000, bound_ms=1e6, seconds=1, seed=3, batch=8, clock_ns=clock, sleep=clock.sleep)
    arrivals = np.cumsum(np.random.default_rng(3).exponential(1000 / 3000, 3000))
    free, expected, sizes = 0.0, list[float](), list[int]()
    while len(expected) < 3000:
        first = len(expected)
        start = max(free, arrivals[first])
        sizes.append(min(8, int((arrivals[first:] <= start).sum())))
        free = start + 1 + 0.1 * sizes[-1]
        expected += (free - arrivals[first : first + sizes[-1]]).tolist()
    assert found.bound_met
    assert set(sizes) == set(range(1, 9))
    # The looks at the clock move the ends of calls by some microseconds, and a few arrivals from one call to the next.
    assert np.mean(np.abs(found.latencies_ns / MS - expected) < 0.05) > 0.9
    assert np.median(found.latencies_ns) / MS == pytest.approx(np.median(expected), rel=0.02)
    assert sum(calls) == 3000


def test_gathering_raises_the_highest_rate() -> None:
    """Calls of one millisecond whatever they hold: of up to 8 queries the server bears nearly 8 times as many."""
    rates = {}
    for batch in (1, 8):
        clock = VirtualClock(look_ns=1000)
        found = find_highest_rate(
            steady(clock), max_rate=batch * 1000, bound_ms=20, seconds=5, seed=1, batch=batch, clock_ns=clock,
            sleep=clock.sleep,
        )  # fmt: skip
        assert found.bound_met
        assert np.quantile(found.latencies_ns, 0.99) <= 20 * MS
        rates[batch] = found.rate
    assert rates[1] < 1000
    assert 7000 < rates[8] < 8000


def test_a_server_that_falls_behind_is_stopped_early() -> None:
    clock = VirtualClock(look_ns=1000)
    found = serve(
        steady(clock),
        rate=2000,
        bound_ms=5,
        seconds=10,
        seed=0,
        clock_ns=clock,
        sleep=clock.sleep,
    )
    assert not found.bound_met
    assert clock.calls < 1000


@pytest.mark.parametrize(("rate", "held"), [(500, True), (900, False)])
def test_whether_the_bound_holds_is_what_theory_says(rate: float, held: bool) -> None:
    # M/D/1 with a service of 1 ms: Crommelin's formula puts the 99th percentile of the wait at about 3.4 ms for a
    # load of 0.5, and above 20 ms for one of 0.9.
    clock = VirtualClock(look_ns=1000)
    found = serve(
        steady(clock),
        rate=rate,
        bound_ms=10,
        seconds=60,
        seed=1,
        clock_ns=clock,
        sleep=clock.sleep,
    )
    assert found.bound_met == held


def test_the_highest_rate_is_that_of_theory() -> None:
    clock = VirtualClock(look_ns=5000)
    found = find_highest_rate(
        steady(clock),
        max_rate=1000,
        bound_ms=10,
        seconds=20,
        seed=1,
        clock_ns=clock,
        sleep=clock.sleep,
    )

    def late(load: float) -> float:
        """P(wait > 9) of M/D/1 by its exponential tail (Kingman): the decay solves load (exp(x) - 1) = x."""
        decay = optimize.brentq(lambda x: load * math.expm1(x) - x, 1e-6, 5)
        return (1 - load) / (load * math.exp(decay) - 1) * math.exp(-9 * decay)

    assert found.bound_met
    assert found.rate == pytest.approx(1000 * optimize.brentq(lambda load: late(load) - 0.01, 0.5, 0.95), rel=0.08)
    none = find_highest_rate(
        steady(clock),
        max_rate=1000,
        bound_ms=0.5,
        seconds=1,
        seed=1,
        clock_ns=clock,
        sleep=clock.sleep,
    )
    assert not none.bound_met
    with pytest.raises(InputError, match="latency bound is 0"):
        find_highest_rate(steady(clock), max_rate=1000, bound_ms=0, seconds=1, seed=1, clock_ns=clock)


@pytest.mark.parametrize(("bound_ms", "held"), [(500, True), (90, False)])
def test_the_search_does_not_dwell_on_low_rates(bound_ms: float, held: bool) -> None:
    """500 queries last for 100 s at half of what a call of 100 ms bears, and for 2500 s at a fiftieth."""
    clock = VirtualClock(look_ns=1000)
    found = find_highest_rate(
        serving(clock.call(itertools.repeat(100 * MS))),
        max_rate=10,
        bound_ms=bound_ms,
        seconds=3,
        seed=0,
        clock_ns=clock,
        sleep=clock.sleep,
    )
    assert found.bound_met == held
    assert clock.now < 1000 * 1e9
