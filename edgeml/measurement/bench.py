"""Measuring a package's artifacts, one case after the other, or two in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from edgeml._version import __version__
from edgeml.core.errors import InputError
from edgeml.core.records.benchmark_results import (
    FORMAT,
    Comparison,
    Conditions,
    Figure,
    Machine,
    Measurement,
    PackageRef,
    Results,
    Scenario,
    pack_times,
)
from edgeml.core.session import Session
from edgeml.measurement.cases import Case, Options, plan
from edgeml.measurement.cold_start import first_answer
from edgeml.measurement.comparison import compare
from edgeml.measurement.conditions import Watch
from edgeml.measurement.machine import this_machine
from edgeml.measurement.quantiles import quantiles, rate
from edgeml.measurement.raw_samples import raw_sample
from edgeml.measurement.scenarios import Server, back_to_back, highest_rate
from edgeml.measurement.subject import Packaged
from edgeml.measurement.timing import Call, Clock, Timed
from edgeml.measurement.workload import offline_batch, opener, query, server
from edgeml.measurement.yardstick import Yardstick

__all__ = ["bench", "compare_cases", "measure", "now", "results_of"]

_ALONE_S = 0.5
_MEDIAN = 0.5


def bench(
    package: Packaged,
    *,
    artifacts: Sequence[str] = (),
    targets: Sequence[str] = (),
    threads: Sequence[int | None] = (),
    batches: Sequence[int] = (),
    scenarios: Sequence[Scenario] = (),
    options: Options | None = None,
    progress: Callable[[Case], object] | None = None,
) -> Results:
    """Measures artifacts × targets × threads × batch sizes.

    Args:
        package: As `edgeml.open_package` and `edgeml.build` give it.
        artifacts: Recipes; by default the released artifacts. What cannot run here is left out unless it is named.
        targets: By default the CPU.
        threads: Cores that a call may use; by default the session's own choice.
        batches: Samples a query, for the scenarios ``offline`` and ``multi-stream``; of a ``server`` the most queries
            that it gathers into one call.
        scenarios: With MLPerf's meaning; by default ``single-stream`` and ``offline``.
        options: Durations, bounds and seed.
        progress: Told each case before it is measured.

    Raises:
        InputError: No such artifact, or the server scenario lacks its bound; or the clock went back.
        TargetError: What was named cannot run here.
        MissingDependencyError: The same, for want of an engine.

    Example:
        >>> results = bench(edgeml.open_package("digits.edgeml"), artifacts=["tflite-int8"])
        >>> results.measurements[0].latency[0].ms
        Figure(value=0.0065, low=0.0065, high=0.0066)
    """
    given, date = options or Options(), now()
    planned = plan(
        package,
        artifacts=artifacts,
        targets=targets,
        threads=threads,
        batches=batches,
        scenarios=scenarios,
        options=given,
    )
    with tempfile.TemporaryDirectory(prefix="edgeml-") as folder:
        file = Path(folder) / "measured.edgeml"
        package.save(file)
        found = list[Measurement]()
        for case in planned.cases:
            if progress is not None:
                progress(case)
            found.append(measure(package, file, case, given))
    reference = PackageRef(package.name, package.version, package.digest())
    return results_of(reference, date, this_machine(), tuple(found))


def results_of(
    package: PackageRef,
    date: str,
    machine: Machine,
    measurements: tuple[Measurement, ...],
    comparisons: tuple[Comparison, ...] = (),
) -> Results:
    """What a results file holds."""
    return Results(FORMAT, __version__, date, machine, package, measurements, comparisons)


def now() -> str:
    """The date as results have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def measure(
    package: Packaged, file: Path, case: Case, options: Options, *, clock_ns: Clock = perf_counter_ns
) -> Measurement:
    """One case.

    Args:
        package: The package.
        file: Where it lies, for fresh processes to open.
        case: What to measure.
        options: How.
        clock_ns: A monotonic clock, in nanoseconds.

    Raises:
        InputError: The clock went back, or the server scenario lacks its bound.
        TargetError: The artifact cannot run there.
    """
    with package.session(case.artifact, target=case.target, threads=case.threads) as session:
        samples = package.golden_inputs()
        batch = case.batch or offline_batch(session, samples, clock_ns)
        if case.scenario == "server":
            found = _served(server(session, samples), batch, options, clock_ns)
        else:
            found = _streamed(query(session, samples, batch), case.scenario, batch, options, clock_ns)
        arena_bytes = session.arena_bytes
        preparing = _preprocessing(session, samples, options, clock_ns) if case.scenario == "single-stream" else None
        engine = f"{session.engine} {session.engine_version}"
    cold = None
    if options.cold_starts and case.scenario == "single-stream":
        cold = first_answer(file, case.artifact, case.target, case.threads, processes=options.cold_starts)
    return Measurement(
        artifact=case.artifact,
        target=case.target,
        engine=engine,
        scenario=case.scenario,
        threads=case.threads,
        batch=batch,
        queries=len(found.times_ns),
        warm_up=found.warm_up,
        seconds=found.seconds,
        latency=quantiles(found.times_ns / 1e6),
        throughput=found.throughput,
        size_bytes=package.size_bytes(case.artifact),
        conditions=found.conditions,
        times=pack_times(found.times_ns),
        latency_bound_ms=options.latency_bound_ms if case.scenario == "server" else None,
        arena_bytes=arena_bytes,
        cold_start_ms=cold.cold_start_ms if cold is not None else None,
        peak_mb=cold.peak_mb if cold is not None else None,
        joules=found.joules,
        preprocessing_ms=preparing,
    )


def compare_cases(
    package: Packaged, case: Case, other: Packaged, beside: Case, options: Options, *, clock_ns: Clock = perf_counter_ns
) -> Comparison:
    """Two cases measured in turn in one run, in queries of one sample or of the case's batch.

    Args:
        package: The first's package.
        case: The first.
        other: The second's package.
        beside: The second.
        options: How long, and the seed.
        clock_ns: A monotonic clock, in nanoseconds.

    Raises:
        InputError: The clock went back.
        TargetError: One cannot run there.
    """
    names = [case.setting, beside.setting]
    if package is not other:
        names = [f"{item.label}: {name}" for item, name in zip((package, other), names, strict=True)]
    return compare(
        names[0],
        opener(package, case),
        names[1],
        opener(other, beside),
        seconds=options.seconds,
        seed=options.seed,
        clock_ns=clock_ns,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What a scenario gave: times of queries ``[queries]``, and what `Measurement` calls the rest."""

    times_ns: np.ndarray
    warm_up: int
    seconds: float
    throughput: Figure | None
    conditions: Conditions
    joules: float | None = None


def _streamed(call: Call, scenario: Scenario, batch: int, options: Options, clock_ns: Clock) -> _Found:
    watches, yardstick = list[Watch](), Yardstick(clock_ns)

    def between() -> None:
        yardstick()
        watches[0].glance()

    found = back_to_back(
        call,
        scenario=scenario,
        seconds=options.seconds,
        began=lambda: watches.append(Watch()),
        between=between,
        clock_ns=clock_ns,
    )
    joules = watches[0].joules()
    return _Found(
        found.times_ns,
        found.warm_up,
        found.seconds,
        rate(found.times_ns / 1e9, batch),
        watches[0].conditions(*_doubts(found), yardstick_us=yardstick.us),
        None if joules is None else joules / (len(found.times_ns) * found.together * batch),
    )


def _preprocessing(
    session: Session, samples: Mapping[str, np.ndarray], options: Options, clock_ns: Clock
) -> Figure | None:
    """The median time from a raw sample to the model's numbers."""
    raw = raw_sample(session, samples)
    if raw is None:
        return None
    found = back_to_back(
        lambda: session.prepare(raw, raw=True),
        scenario="single-stream",
        seconds=min(options.seconds, _ALONE_S),
        clock_ns=clock_ns,
    )
    return next(quantile.ms for quantile in quantiles(found.times_ns / 1e6) if quantile.at == _MEDIAN)


def _served(call: Server, batch: int, options: Options, clock_ns: Clock) -> _Found:
    if options.latency_bound_ms is None:
        raise InputError("The server scenario needs a latency bound.", fix="give --latency-bound MS.")
    seconds = min(options.seconds, _ALONE_S)
    pilots = {
        count: back_to_back(partial(call, count), scenario="single-stream", seconds=seconds, clock_ns=clock_ns)
        for count in dict.fromkeys((1, batch))
    }
    watch = Watch()
    found = highest_rate(
        call,
        most=max(count * 1e9 / max(1.0, float(np.median(pilot.times_ns))) for count, pilot in pilots.items()),
        bound_ms=options.latency_bound_ms,
        seconds=options.seconds,
        seed=options.seed,
        batch=batch,
        clock_ns=clock_ns,
    )
    doubts = list(dict.fromkeys(doubt for pilot in pilots.values() for doubt in _doubts(pilot)))
    if not found.held:
        doubts.append(f"No rate holds the bound: at {found.rate:,.1f} queries a second more than 1% already miss it.")
    return _Found(
        found.latencies_ns,
        sum(count * (pilot.warm_up + len(pilot.times_ns)) for count, pilot in pilots.items()),
        found.seconds,
        Figure(found.rate) if found.held else None,
        watch.conditions(*doubts),
    )


def _doubts(found: Timed) -> Iterator[str]:
    if not found.steady:
        yield f"The times were not steady after a warm-up of {found.warm_up} queries."
    if found.together > 1:
        yield f"A query is too short for this clock: {found.together} at a time were timed."
    if found.times_ns.max() * found.together > found.seconds / 2 * 1e9:
        yield "One query took more than half of the time: the machine slept, or the clock jumped."
