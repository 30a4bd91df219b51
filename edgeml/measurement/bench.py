"""Benchmarks of a package: cases one after the other, or two in turn."""

from __future__ import annotations

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
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.measurement.cases import Case, Options, plan_cases
from edgeml.measurement.cold_start import measure_cold_start
from edgeml.measurement.comparison import compare
from edgeml.measurement.conditions import ConditionMonitor
from edgeml.measurement.machine import this_machine
from edgeml.measurement.quantiles import quantiles, rate
from edgeml.measurement.raw_samples import raw_sample
from edgeml.measurement.reference_workload import ReferenceWorkload
from edgeml.measurement.scenarios import Server, find_highest_rate, run_back_to_back
from edgeml.measurement.subject import Measurable
from edgeml.measurement.timing import Call, CallTimes, Clock
from edgeml.measurement.workload import choose_offline_batch, make_opener, make_query, make_server

__all__ = ["bench", "compare_cases", "measure", "now", "results_of"]

_PILOT_S = 0.5
_MEDIAN = 0.5


def bench(
    package: Measurable,
    *,
    artifacts: Sequence[str] = (),
    targets: Sequence[str] = (),
    threads: Sequence[int | None] = (),
    batches: Sequence[int] = (),
    scenarios: Sequence[Scenario] = (),
    options: Options | None = None,
    sizes: Mapping[str, int] | None = None,
    progress: Callable[[Case], object] | None = None,
) -> Results:
    """Measure artifacts × targets × threads × batch sizes × scenarios.

    Args:
        package: Package, as `edgeml.open_package` and `edgeml.build` return it.
        artifacts: Recipes; by default the released artifacts. Artifacts that cannot run here are skipped unless they
            are named.
        targets: Targets; by default the CPU.
        threads: Cores that a call may use; by default the session's choice.
        batches: Samples per query in the scenarios ``offline`` and ``multi-stream``; in the scenario ``server`` the
            maximum number of queries in one call.
        scenarios: Scenarios as MLPerf defines them; by default ``single-stream`` and ``offline``.
        options: Durations, bounds and seed.
        sizes: A number for each free size, by name; by default those of the golden inputs.
        progress: Called with each case before it is measured.

    Raises:
        InputError: An artifact does not exist, the server scenario lacks its latency bound, or `sizes` are not the free
            sizes of the package.
        TargetError: A named artifact or target cannot run here, or the clock went back.
        MissingDependencyError: The engine of a named artifact or target is not installed.

    Example:
        >>> results = bench(edgeml.open_package("digits.edgeml"), artifacts=["tflite-int8"])
        >>> results.measurements[0].latency[0].ms
        Figure(value=0.0065, low=0.0065, high=0.0066)
    """
    options, date = options or Options(), now()
    plan = plan_cases(
        package,
        artifacts=artifacts,
        targets=targets,
        threads=threads,
        batches=batches,
        scenarios=scenarios,
        options=options,
        sizes=sizes,
    )
    with TemporaryFolder() as folder:
        file = folder / "measured.edgeml"
        package.save(file)
        measurements = list[Measurement]()
        for case in plan.cases:
            if progress is not None:
                progress(case)
            measurements.append(measure(package, file, case, options))
    reference = PackageRef(package.name, package.version, package.digest())
    return results_of(reference, date, this_machine(), tuple(measurements))


def results_of(
    package: PackageRef,
    date: str,
    machine: Machine,
    measurements: tuple[Measurement, ...],
    comparisons: tuple[Comparison, ...] = (),
) -> Results:
    """Return the content of a results file."""
    return Results(FORMAT, __version__, date, machine, package, measurements, comparisons)


def now() -> str:
    """Return the current date in the format of results files."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def measure(
    package: Measurable, file: Path, case: Case, options: Options, *, clock_ns: Clock = perf_counter_ns
) -> Measurement:
    """Measure one case.

    Args:
        package: The package.
        file: File of the package, for fresh processes to open.
        case: Case to measure.
        options: Durations, bounds and seed.
        clock_ns: Monotonic clock, in nanoseconds.

    Raises:
        InputError: The server scenario lacks its latency bound.
        TargetError: The artifact cannot run on the target, or the clock went back.
    """
    sizes = case.sizes_for(package)
    with package.session(case.artifact, target=case.target, threads=case.threads, sizes=sizes) as session:
        samples = package.golden_inputs(sizes)
        batch = case.batch or choose_offline_batch(session, samples, clock_ns)
        if case.scenario == "server":
            run = _run_server(make_server(session, samples), batch, options, clock_ns)
        else:
            run = _run_stream(make_query(session, samples, batch), case.scenario, batch, options, clock_ns)
        arena_bytes = session.arena_bytes
        preprocessing_ms = (
            _measure_preprocessing(session, samples, options, clock_ns) if case.scenario == "single-stream" else None
        )
        engine = f"{session.engine} {session.engine_version}"
    cold_start = None
    if options.cold_starts and case.scenario == "single-stream":
        cold_start = measure_cold_start(
            file, case.artifact, case.target, case.threads, processes=options.cold_starts, sizes=sizes
        )
    return Measurement(
        artifact=case.artifact,
        target=case.target,
        engine=engine,
        scenario=case.scenario,
        threads=case.threads,
        batch=batch,
        queries=len(run.times_ns),
        warm_up=run.warm_up,
        seconds=run.seconds,
        latency=quantiles(run.times_ns / 1e6),
        throughput=run.throughput,
        size_bytes=package.size_bytes(case.artifact),
        conditions=run.conditions,
        times=pack_times(run.times_ns),
        latency_bound_ms=options.latency_bound_ms if case.scenario == "server" else None,
        arena_bytes=arena_bytes,
        cold_start_ms=cold_start.cold_start_ms if cold_start is not None else None,
        peak_mb=cold_start.peak_mb if cold_start is not None else None,
        joules=run.joules,
        preprocessing_ms=preprocessing_ms,
        sizes=dict(case.sizes),
    )


def compare_cases(
    package: Measurable,
    case: Case,
    other: Measurable,
    other_case: Case,
    options: Options,
    *,
    clock_ns: Clock = perf_counter_ns,
) -> Comparison:
    """Measure two cases in turn in one run, in queries of one sample or of the case's batch.

    Args:
        package: Package of the first case.
        case: First case.
        other: Package of the second case.
        other_case: Second case.
        options: Duration and seed.
        clock_ns: Monotonic clock, in nanoseconds.

    Raises:
        TargetError: An artifact cannot run on its target, or the clock went back.
    """
    names = [case.setting, other_case.setting]
    if package is not other:
        names = [f"{item.label}: {name}" for item, name in zip((package, other), names, strict=True)]
    return compare(
        names[0],
        make_opener(package, case),
        names[1],
        make_opener(other, other_case),
        seconds=options.seconds,
        seed=options.seed,
        clock_ns=clock_ns,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """Result of a scenario; the fields have the meaning of those of `Measurement`.

    Attributes:
        times_ns: Time of each query ``[queries]``.
        warm_up: Queries before the measurement.
        seconds: Duration.
        throughput: Samples per second.
        conditions: Conditions of the machine.
        joules: Energy per sample.
    """

    times_ns: np.ndarray
    warm_up: int
    seconds: float
    throughput: Figure | None
    conditions: Conditions
    joules: float | None = None


def _run_stream(call: Call, scenario: Scenario, batch: int, options: Options, clock_ns: Clock) -> _Run:
    monitors, workload = list[ConditionMonitor](), ReferenceWorkload(clock_ns)

    def on_pause() -> None:
        workload()
        monitors[0].sample()

    times = run_back_to_back(
        call,
        scenario=scenario,
        seconds=options.seconds,
        on_start=lambda: monitors.append(ConditionMonitor()),
        on_pause=on_pause,
        clock_ns=clock_ns,
    )
    joules = monitors[0].joules()
    return _Run(
        times.times_ns,
        times.warm_up,
        times.seconds,
        rate(times.times_ns / 1e9, batch),
        monitors[0].conditions(*_warnings(times), yardstick_us=workload.us),
        None if joules is None else joules / (len(times.times_ns) * times.calls_per_time * batch),
    )


def _measure_preprocessing(
    session: Session, samples: Mapping[str, np.ndarray], options: Options, clock_ns: Clock
) -> Figure | None:
    """Return the median time from a raw sample to the model's input, in milliseconds."""
    raw = raw_sample(session, samples)
    if raw is None:
        return None
    times = run_back_to_back(
        lambda: session.prepare(raw, raw=True),
        scenario="single-stream",
        seconds=min(options.seconds, _PILOT_S),
        clock_ns=clock_ns,
    )
    return next(quantile.ms for quantile in quantiles(times.times_ns / 1e6) if quantile.at == _MEDIAN)


def _run_server(call: Server, batch: int, options: Options, clock_ns: Clock) -> _Run:
    if options.latency_bound_ms is None:
        raise InputError("The server scenario needs a latency bound.", fix="give --latency-bound MS.")
    seconds = min(options.seconds, _PILOT_S)
    pilots = {
        count: run_back_to_back(partial(call, count), scenario="single-stream", seconds=seconds, clock_ns=clock_ns)
        for count in dict.fromkeys((1, batch))
    }
    monitor = ConditionMonitor()
    run = find_highest_rate(
        call,
        max_rate=max(count * 1e9 / max(1.0, float(np.median(pilot.times_ns))) for count, pilot in pilots.items()),
        bound_ms=options.latency_bound_ms,
        seconds=options.seconds,
        seed=options.seed,
        batch=batch,
        clock_ns=clock_ns,
    )
    warnings = list(dict.fromkeys(warning for pilot in pilots.values() for warning in _warnings(pilot)))
    if not run.bound_met:
        warnings.append(f"No rate meets the bound: at {run.rate:,.1f} queries per second more than 1% already miss it.")
    return _Run(
        run.latencies_ns,
        sum(count * (pilot.warm_up + len(pilot.times_ns)) for count, pilot in pilots.items()),
        run.seconds,
        Figure(run.rate) if run.bound_met else None,
        monitor.conditions(*warnings),
    )


def _warnings(times: CallTimes) -> Iterator[str]:
    if not times.steady:
        yield f"The times were not steady after a warm-up of {times.warm_up} queries."
    if times.calls_per_time > 1:
        yield f"A query is too short for this clock: {times.calls_per_time} at a time were timed."
    if times.times_ns.max() * times.calls_per_time > times.seconds / 2 * 1e9:
        yield "One query took more than half of the time: the machine slept, or the clock jumped."
