"""Timing by a clock that is the test's own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgeml.core.errors import TargetError
from edgeml.measurement.timing import measure_clock, time_calls, warm_up
from tests.support.virtual_clock import VirtualClock

MS = 1_000_000


def test_the_cost_of_the_clock_is_taken_off_short_calls() -> None:
    clock = VirtualClock(look_ns=60)
    assert measure_clock(clock).cost_ns == 60
    found = time_calls(
        clock.call(itertools.repeat(5000)), min_ns=MS, min_calls=10, warm_up_limit_ns=100 * MS, clock_ns=clock
    )
    assert set(found.times_ns) == {5000.0}
    assert found.calls_per_time == 1
    long = time_calls(
        clock.call(itertools.repeat(MS)), min_ns=MS, min_calls=10, warm_up_limit_ns=100 * MS, clock_ns=clock
    )
    assert set(long.times_ns) == {MS + 60.0}  # six hundredths of a thousandth


def test_calls_too_short_for_the_clock_are_timed_together() -> None:
    clock = VirtualClock(look_ns=1, tick_ns=1000)
    found = time_calls(
        clock.call(itertools.repeat(700)), min_ns=10 * MS, min_calls=10, warm_up_limit_ns=100 * MS, clock_ns=clock
    )
    assert found.calls_per_time >= 20_000 / 1000
    assert np.median(found.times_ns) == pytest.approx(700, rel=0.06)


def test_warm_up_lasts_until_the_times_are_steady() -> None:
    clock = VirtualClock()
    falling = (MS * (1 + 9 * 0.97**turn) for turn in itertools.count())
    count, steady, median_ns = warm_up(clock.call(falling), limit_ns=10_000 * MS, clock_ns=clock)
    assert steady
    assert count == clock.calls > 50
    assert median_ns == pytest.approx(MS, rel=0.2)


def test_warm_up_ends_also_where_nothing_becomes_steady() -> None:
    clock = VirtualClock()
    growing = (MS * 1.05**turn for turn in itertools.count())
    found = time_calls(clock.call(growing), min_ns=MS, min_calls=3, warm_up_limit_ns=300 * MS, clock_ns=clock)
    assert not found.steady
    assert 5 < found.warm_up < 100


def test_duration_and_count_both_hold() -> None:
    clock = VirtualClock()
    call = clock.call(itertools.repeat(10 * MS))
    slow = time_calls(call, min_ns=MS, min_calls=64, warm_up_limit_ns=100 * MS, clock_ns=clock)
    assert len(slow.times_ns) == 64
    fast = time_calls(call, min_ns=1000 * MS, min_calls=64, warm_up_limit_ns=100 * MS, clock_ns=clock)
    assert len(fast.times_ns) == 100
    assert fast.seconds == pytest.approx(1.0)


def test_a_clock_that_goes_back_is_an_error() -> None:
    clock = VirtualClock()
    durations = itertools.chain(itertools.repeat(MS, 100), [-5 * MS], itertools.repeat(MS))
    with pytest.raises(TargetError, match="clock went back by 5000000 ns during a measurement"):
        time_calls(clock.call(durations), min_ns=500 * MS, min_calls=3, warm_up_limit_ns=100 * MS, clock_ns=clock)
