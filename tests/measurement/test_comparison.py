"""Comparisons of calls whose true times are known, with noise, drift and bursts, by a clock of the test's own."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from edgeml.core.records.benchmark_results import Comparison, Figure
from edgeml.measurement import compare
from edgeml.measurement.baseline import ratio_of_runs
from edgeml.measurement.comparison import Opener, judge_ratio
from edgeml.measurement.reference_workload import ReferenceWorkload
from edgeml.measurement.timing import Call
from tests.support.virtual_clock import VirtualClock

SECONDS, TIMES, CALL_NS = 0.25, 20, 100_000


def noisy(clock: VirtualClock, random: np.random.Generator, slower: float) -> Opener:
    """Calls on a machine that drifts by a tenth, doubles now and then, and lays memory out anew for each session."""

    def durations(layout: float) -> Iterator[float]:
        for noise in itertools.cycle(random.lognormal(0, 0.03, 5000)):
            drift = 1 + 0.1 * np.sin(clock.now / 7e7)
            burst = 2 if clock.now // 2_000_000 % 10 == 0 else 1
            yield CALL_NS * (1 + slower) * layout * drift * burst * noise

    def ready() -> contextlib.nullcontext[Call]:
        return contextlib.nullcontext(clock.call(durations(random.lognormal(0, 0.01))))

    return ready


def compared(seed: int, slower: float) -> Comparison:
    clock, random = VirtualClock(), np.random.default_rng(seed)
    first, second = noisy(clock, random, slower), noisy(clock, random, 0.0)
    return compare("this", first, "that", second, seconds=SECONDS, seed=seed, clock_ns=clock)


def test_a_call_beside_itself_cannot_be_told_apart() -> None:
    found = [compared(seed, 0.0) for seed in range(TIMES)]
    assert sum(item.verdict == "indistinguishable" for item in found) >= 17
    assert all(item.ratio.low is not None and item.rounds >= 6 for item in found)


def test_a_slow_down_of_5_percent_is_found() -> None:
    found = [compared(seed, 0.05) for seed in range(TIMES)]
    assert sum(item.verdict == "slower" for item in found) >= 17
    assert np.median([item.ratio.value for item in found]) == pytest.approx(1.05, abs=0.01)
    assert compared(0, -0.05).verdict == "faster"


def test_slow_calls_are_compared_in_six_blocks_or_not_at_all() -> None:
    clock = VirtualClock()
    ready = lambda: contextlib.nullcontext(clock.call(itertools.repeat(3e6)))  # noqa: E731
    found = compare("this", ready, "that", ready, seconds=0.2, seed=0, clock_ns=clock)
    assert found.rounds == 6
    assert found.ratio == Figure(1.0, 1.0, 1.0)
    ready = lambda: contextlib.nullcontext(clock.call(itertools.repeat(3e9)))  # noqa: E731
    found = compare("this", ready, "that", ready, seconds=0.2, seed=0, clock_ns=clock)
    assert found.ratio == Figure(1.0)
    assert found.verdict == "indistinguishable"


def test_a_verdict_needs_an_interval_beside_1() -> None:
    assert judge_ratio(Figure(1.1, 1.01, 1.2)) == "slower"
    assert judge_ratio(Figure(0.9, 0.8, 0.99)) == "faster"
    assert (
        judge_ratio(Figure(1.1, 0.99, 1.2))
        == judge_ratio(Figure(1.1))
        == judge_ratio(Figure(1.1, 1.05))
        == "indistinguishable"
    )


def drifting(random: np.random.Generator, count: int) -> np.ndarray:
    """Times with 1/f noise of some percent."""
    spectrum = random.normal(size=count // 2 + 1) + 1j * random.normal(size=count // 2 + 1)
    spectrum[1:] /= np.sqrt(np.arange(1, count // 2 + 1))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, count)
    return 100 * (1 + 0.01 * noise / noise.std() + 0.005 * random.normal(size=count))


def test_two_runs_on_a_drifting_machine_cannot_be_told_apart() -> None:
    random, held = np.random.default_rng(4), 0
    for _ in range(100):
        whole = drifting(random, 8000)  # the runs are two parts of one time
        ratio = ratio_of_runs(whole[:2000], whole[-2000:])
        held += judge_ratio(ratio) == "indistinguishable"
    assert held >= 95
    slowed = ratio_of_runs(1.1 * drifting(random, 2000), drifting(random, 2000))
    assert judge_ratio(slowed) == "slower"
    assert ratio_of_runs(np.ones(10), np.ones(10)) == Figure(1.0)


def test_what_the_machine_itself_became_is_not_held_against_a_run() -> None:
    random = np.random.default_rng(6)
    now, then = 1.15 * drifting(random, 2000), drifting(random, 2000)
    assert judge_ratio(ratio_of_runs(now, then)) == "slower"
    assert judge_ratio(ratio_of_runs(now, then, machine=1.2)) == "indistinguishable"
    assert judge_ratio(ratio_of_runs(now, then, machine=1 / 1.2)) == "indistinguishable"


def test_a_yardstick_tells_the_median_of_what_it_took() -> None:
    workload = ReferenceWorkload(clock_ns=itertools.count(0, 7000).__next__)  # each look at it is 7 µs after the last
    assert ReferenceWorkload().us is None
    workload()
    workload()
    assert workload.us == 7.0
    real = ReferenceWorkload()
    real()
    assert real.us is not None
    assert 1 < real.us < 10_000
