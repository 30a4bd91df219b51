"""`edgeml bench`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import replace

from edgeml.cli.bench_device import bench_there, device_options, devices_of
from edgeml.cli.options import options_as
from edgeml.cli.output import json_option, notes, print_json, progress
from edgeml.cli.output_files import check_output
from edgeml.core.errors import InputError

if TYPE_CHECKING:
    from edgeml.core.records.benchmark_results import Comparison, PackageRef, Results, Scenario
    from edgeml.core.system.worker import Worker
    from edgeml.measurement import Case, Options
    from edgeml.measurement.devices import Device
    from edgeml.measurement.journal import Journal

__all__ = ["command"]

_MOST_SHARE = 1000.0
_SCENARIOS = ("single-stream", "multi-stream", "offline", "server")


class BenchOptions(Struct, frozen=True, kw_only=True):
    """Arguments and options of ``edgeml bench``, as click gives them."""

    package: Path
    output: Path | None
    artifacts: tuple[str, ...]
    targets: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    threads: tuple[int, ...]
    batches: tuple[int, ...]
    seconds: float
    latency_bound: float | None
    cold_starts: int
    seed: int
    compare: str | None
    baseline: Path | None
    fail_if: str | None
    journal: Path | None
    trust_source: bool
    device: tuple[str, ...]
    lab: Path | None
    python: str
    ssh_option: tuple[str, ...]
    keep: bool
    as_json: bool


@click.command("bench", short_help="Measure a package's artifacts on this machine.")
@click.argument("package", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The results file to write, JSON.")
@click.option("--artifact", "artifacts", multiple=True, help="Which; by default the released ones. Repeatable.")
@click.option("--target", "targets", multiple=True, help="Where: see edgeml targets; by default cpu. Repeatable.")
@click.option("--scenario", "scenarios", multiple=True, type=click.Choice(_SCENARIOS), help="Repeatable.")
@click.option("--threads", multiple=True, type=click.IntRange(1, 1024), help="Cores that a call may use. Repeatable.")
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1, 65536), help="Samples a query. Repeatable.")
@click.option("--seconds", type=click.FloatRange(0.01, 86400), default=3.0, show_default=True, help="Of a measurement.")
@click.option("--latency-bound", type=click.FloatRange(min=0, min_open=True), metavar="MS", help="Of a server's p99.")
@click.option("--cold-starts", type=click.IntRange(0, 1000), default=6, show_default=True, help="Fresh processes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of a server's arrivals and a comparison's order.")
@click.option("--compare", metavar="OTHER", help="Measure in turn with a package, .tflite, .onnx, RECIPE, @TARGET.")
@click.option("--baseline", type=click.Path(path_type=Path), help="The results of an earlier run, to compare with.")
@click.option("--fail-if", metavar="slower=5%", help="Exit with 1 where a median grew by more since the baseline.")
@click.option("--journal", type=click.Path(path_type=Path), help="Keep what is done here, and go on from it.")
@click.option("--trust-source", is_flag=True, help="Load what the audit of a .tflite or .onnx file finds in it.")
@device_options
@json_option
@options_as(BenchOptions)
def command(ctx: click.Context, options: BenchOptions) -> None:
    """Measure PACKAGE: latency, throughput, cold start and memory, with 95% intervals, in MLPerf's scenarios.

    \b
    edgeml bench net.edgeml -o results.json
    edgeml bench net.edgeml --artifact tflite-int8 --scenario offline --batch 1 --batch 32 --threads 1 --threads 4
    edgeml bench net.edgeml --scenario server --latency-bound 5 --batch 1 --batch 8
    edgeml bench net.edgeml --artifact tflite-int8 --compare onnx-int8
    edgeml bench net.edgeml --artifact tflite-int8 --compare old.tflite
    edgeml bench net.edgeml --baseline results.json --fail-if slower=5%
    edgeml bench net.edgeml --device pi@raspberrypi.local -o pi.json
    edgeml bench net.edgeml --lab devices.toml -o results

    single-stream: one sample after the other. multi-stream: queries of 8 samples, or of --batch. offline: all
    samples in one call. server: the highest rate of random arrivals at which the 99th percentile holds the bound;
    with --batch it gathers up to so many waiting queries into one call.
    --compare measures two in turn, in one run, and says which is faster, or that they cannot be told apart: packages,
    artifacts, RECIPE@TARGET, or a .tflite or .onnx file that takes the same inputs, floats in and out on both sides.
    Such a file may also stand in PACKAGE's place; cold start and memory are those of packages alone.

    Exit code 1: with --fail-if, something became slower. What else the machine did is told with the figures.
    """
    from edgeml.core.records.benchmark_results import read_results

    baseline = options.baseline
    allowed = _allowed(options.fail_if, baseline)
    if options.compare is not None:
        _check_compare(options.compare, options.package, options.scenarios, baseline)
    devices = devices_of(options.device, options.lab, options.python, options.ssh_option)
    if not devices:
        _check_use(options.scenarios, options.batches, options.latency_bound, options.compare)
    if options.output is not None and len(devices) < 2 and options.lab is None:
        check_output(options.output, options.package, baseline, options.journal)
    reference = _reference(options.package)
    earlier = None if baseline is None else read_results(baseline)
    tell = partial(_tell, as_json=options.as_json, earlier=earlier, allowed=allowed)
    ctx.exit(
        _bench_there(ctx, options, devices, reference, earlier, tell)
        if devices
        else _bench_here(options, reference, earlier, tell)
    )


def _bench_there(
    ctx: click.Context,
    options: BenchOptions,
    devices: tuple[Device, ...],
    reference: PackageRef,
    earlier: Results | None,
    tell: Callable[[Results, Path | None], int],
) -> int:
    """Measures on devices; gives the exit code."""
    from edgeml.core.source import is_bare
    from edgeml.measurement.baseline import check_baseline

    package, compare = options.package, options.compare
    if options.journal is not None or is_bare(package) or (compare is not None and _is_file(compare)):
        raise InputError(
            "Devices take one package, without --journal and without another package or file beside it.",
            fix=f"put the file into a package: edgeml build {package}" if is_bare(package) else "",
        )
    if earlier is not None:
        for one in devices:  # more of them is known when they have measured
            check_baseline(earlier, reference.name, replace(earlier.machine, device=one.title))
    return bench_there(
        ctx, package, devices, output=options.output, keep=options.keep, as_json=options.as_json, tell=tell
    )


def _bench_here(
    options: BenchOptions,
    reference: PackageRef,
    earlier: Results | None,
    tell: Callable[[Results, Path | None], int],
) -> int:
    """Measures on this machine, and goes on from the journal; gives the exit code."""
    from edgeml.cli.bench_worker import Benching, BenchingSettings
    from edgeml.cli.predict_worker import in_child
    from edgeml.core.source import is_bare
    from edgeml.measurement import Options, Plan, now, results_of, this_machine
    from edgeml.measurement.baseline import check_baseline, not_in
    from edgeml.measurement.journal import Journal, JournalHead

    package, compare, machine = options.package, options.compare, this_machine()
    bare = is_bare(package)
    measuring = Options(options.seconds, options.latency_bound, 0 if bare else options.cold_starts, options.seed)
    if earlier is not None:
        check_baseline(earlier, reference.name, machine)
    journal = Journal(options.journal, JournalHead(reference.digest, _beside(compare), measuring, machine, now()))
    scenarios = options.scenarios
    if compare is not None:
        scenarios = ("multi-stream",) if options.batches else ("single-stream",)
    named = package.name if compare is None or not _is_file(compare) else f"{package.name} or {Path(compare).name}"
    with in_child(Benching, BenchingSettings(package.absolute(), options.trust_source), named) as child:
        planned = child.call(
            "plan",
            options.artifacts,
            options.targets,
            options.threads,
            options.batches,
            scenarios,
            measuring,
            compare,
            returns=Plan,
        )
        if earlier is not None:
            not_in(earlier, planned.cases)
        _measure(child, planned.cases, compare, measuring, journal)
    entries = [journal.done[case] for case in planned.cases if case in journal.done]
    measurements = tuple(entry.measurement for entry in entries if entry.measurement is not None)
    comparisons = tuple(entry.comparison for entry in entries if entry.comparison is not None)
    found = results_of(reference, journal.head.date, machine, measurements, comparisons)
    code = tell(found, options.output)
    told = ("cold start and memory, which are measured of packages",) if bare and compare is None else ()
    for line in (*planned.skipped, *told):
        notes().print(f"not measured: {line}", soft_wrap=True)
    return code


def _check_compare(compare: str, package: Path, scenarios: tuple[str, ...], baseline: Path | None) -> None:
    """Refuses what --compare does not go with."""
    from edgeml.core.source import is_bare

    if scenarios or baseline is not None:
        raise InputError("--compare goes with neither --scenario nor --baseline.", fix="run edgeml bench twice.")
    if compare.endswith(".edgeml") and is_bare(package):
        raise InputError(
            "A file is measured beside a package, not a package beside a file: the package has the inputs.",
            fix=f"edgeml bench {compare} --compare {package}",
        )
    if compare == "":
        raise InputError("--compare names nothing.", fix="give a package, a .tflite or .onnx file, RECIPE or @TARGET.")


def _tell(found: Results, output: Path | None, *, as_json: bool, earlier: Results | None, allowed: float | None) -> int:
    """Compares results with earlier ones, writes and shows them; gives the exit code."""
    from edgeml.cli.bench_table import comparison_lines, measurement_table
    from edgeml.core.records.benchmark_results import encode_results
    from edgeml.core.system.files import atomic_write
    from edgeml.measurement import against_baseline
    from edgeml.measurement.baseline import case_of, not_in

    try:
        if earlier is not None:
            found = replace(found, comparisons=against_baseline(found, earlier))
    finally:  # what was measured is kept, also where there is nothing to compare it with
        if output is not None:
            atomic_write(output, encode_results(found))
    if as_json:
        print_json(found)
    else:
        measurement_table(found.measurements)
        comparison_lines(found.comparisons, doubts=earlier is None)
    if earlier is not None:
        for case in not_in(earlier, [case_of(item) for item in found.measurements]):
            notes().print(f"not compared: {case}, which the baseline does not tell.", soft_wrap=True)
    return 1 if allowed is not None and _slower(found.comparisons, allowed) else 0


def _measure(child: Worker, cases: tuple[Case, ...], compare: str | None, options: Options, journal: Journal) -> None:
    """Measures what the journal does not hold yet."""
    from msgspec import Struct

    from edgeml.core.records.benchmark_results import Comparison, Measurement
    from edgeml.measurement.journal import Entry

    class Step(Struct, frozen=True):
        done: int
        total: int
        text: str

    with progress() as report:
        for done, case in enumerate(cases):
            report(Step(done, len(cases), str(case)))
            if case in journal.done:
                continue
            if compare is None:
                journal.add(Entry(case, measurement=child.call("measure", case, options, returns=Measurement)))
            else:
                entry = Entry(case, comparison=child.call("compare", case, compare, options, returns=Comparison))
                journal.add(entry)


def _reference(file: Path) -> PackageRef:
    """What results call a package, or a bare model file."""
    from edgeml.core.records.benchmark_results import PackageRef
    from edgeml.core.source import is_bare
    from edgeml.core.system.digest import digest_of
    from edgeml.core.system.files import read_bytes
    from edgeml.package import open_package

    if not is_bare(file):
        opened = open_package(file)
        return PackageRef(opened.name, opened.version, opened.digest())
    return PackageRef(file.name, "", digest_of(read_bytes(file)))


def _is_file(compare: str) -> bool:
    """Whether that names a package or a model file, and not an artifact or a target."""
    from edgeml.core.source import is_bare

    return compare.endswith(".edgeml") or is_bare(compare)


def _beside(compare: str | None) -> str:
    """What a journal calls the other side."""
    if compare is None:
        return ""
    return _reference(Path(compare)).digest if _is_file(compare) else compare


def _check_use(
    scenarios: tuple[str, ...], batches: tuple[int, ...], latency_bound: float | None, compare: str | None
) -> None:
    """Refuses what would be of no consequence; a device's own options may name other scenarios.

    Raises:
        InputError: No scenario takes the batches, or the bound.
    """
    if batches and set(scenarios) == {"single-stream"}:
        raise InputError("--batch is of no use in a single stream.", fix="add a --scenario, for instance offline.")
    if latency_bound is not None and ("server" not in scenarios or compare is not None):
        raise InputError("--latency-bound is of the server scenario alone.", fix="add --scenario server.")


def _allowed(fail_if: str | None, baseline: Path | None) -> float | None:
    """By which share a median may grow."""
    if fail_if is None:
        return None
    if baseline is None:
        raise InputError("--fail-if needs something to compare with.", fix="give --baseline RESULTS.json.")
    name, _, text = map(str.strip, fail_if.partition("="))
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    # Without the sign 5 may be meant as five times, and 0.05 as five hundredths.
    if name != "slower" or not text.endswith("%") or not 0 <= share <= _MOST_SHARE:
        raise InputError(f"--fail-if: got '{fail_if}', expected for instance slower=5%.")
    return share


def _slower(comparisons: tuple[Comparison, ...], allowed: float) -> bool:
    """Whether one grew by more, and cannot be as fast as it was; says which."""
    from edgeml.cli.bench_table import ratio_text

    failed = [item for item in comparisons if item.verdict == "slower" and item.ratio.value > 1 + allowed]
    opened = [item for item in comparisons if item.verdict != "slower" and item.ratio.value > 1 + allowed]
    for item in failed:
        notes().print(
            f"failed: {item.what} takes {ratio_text(item.ratio)} as long as in {item.beside}; "
            f"{100 * allowed:g}% more is allowed.",
            soft_wrap=True,
        )
    for item in opened:
        notes().print(
            f"open: {item.what} takes {ratio_text(item.ratio)} as long as in {item.beside}, which may be noise; "
            "measure for longer.",
            soft_wrap=True,
        )
    return bool(failed)
