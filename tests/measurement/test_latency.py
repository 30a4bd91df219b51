"""Latency, by a clock that is the test's own."""

from __future__ import annotations

import time

import pytest

from edgeml.measurement import measure_latency

MS = 1_000_000


class Clock:
    """A call that takes as long as told, and the clock that shows it."""

    def __init__(self, durations_ms: list[float]) -> None:
        self.now = 0
        self.calls = 0
        self._durations = durations_ms

    def __call__(self) -> int:
        return self.now

    def work(self) -> None:
        self.now += int(self._durations[self.calls % len(self._durations)] * MS)
        self.calls += 1


def test_median_and_p95_are_those_of_the_calls() -> None:
    clock = Clock([1.0] * 9 + [11.0])  # one in ten is slow
    found = measure_latency(clock.work, clock_ns=clock)
    assert found.median_ms == pytest.approx(1.0)
    assert found.p95_ms == pytest.approx(11.0)


def test_warm_up_is_not_counted() -> None:
    clock = Clock([60.0] + [1.0] * 10_000)
    found = measure_latency(clock.work, clock_ns=clock)
    assert found.p95_ms == pytest.approx(1.0)
    assert clock.calls > found.runs


def test_slow_calls_are_timed_sixty_times() -> None:
    clock = Clock([100.0])
    assert measure_latency(clock.work, clock_ns=clock).runs == 60


def test_fast_calls_are_timed_for_a_third_of_a_second() -> None:
    clock = Clock([1.0])
    assert measure_latency(clock.work, clock_ns=clock).runs == 300


def test_very_fast_calls_come_to_an_end() -> None:
    clock = Clock([0.001])
    assert measure_latency(clock.work, clock_ns=clock).runs == 20_000


def test_a_real_call() -> None:
    found = measure_latency(lambda: time.sleep(0.002))
    assert found.runs >= 60
    assert 2.0 <= found.median_ms <= found.p95_ms
