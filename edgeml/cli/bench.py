"""`edgeml bench`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from edgeml.cli.bench_device import bench_on_devices, device_options, read_devices
from edgeml.cli.options import NumberRange, limits_of, limits_options, options_as, sizes_of_words
from edgeml.cli.output import console, json_option, notes, print_json, printable, progress
from edgeml.cli.output_files import (
    STDOUT,
    OutputPath,
    check_folder,
    check_output,
    check_stdout,
    force_option,
    is_results,
    write_output,
)
from edgeml.core.errors import InputError
from edgeml.core.free_sizes import fixed

if TYPE_CHECKING:
    from rich.console import Console

    from edgeml.core.records.benchmark_results import Comparison, PackageRef, Results, Scenario
    from edgeml.core.system.worker import Worker
    from edgeml.measurement import Case, Options
    from edgeml.measurement.devices import Device
    from edgeml.measurement.journal import Journal

__all__ = ["command"]

_MAX_GROWTH = 1000.0
_SCENARIOS = ("single-stream", "multi-stream", "offline", "server")


class BenchOptions(Struct, frozen=True, kw_only=True):
    """Arguments and options of ``edgeml bench``, as click returns them."""

    package: Path
    output: Path | None
    artifacts: tuple[str, ...]
    targets: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    threads: tuple[int, ...]
    batches: tuple[int, ...]
    sizes: tuple[str, ...]
    seconds: float
    latency_bound: float | None
    cold_starts: int
    seed: int
    compare: str | None
    baseline: Path | None
    fail_if: str | None
    journal: Path | None
    skipped: Path | None
    trust_source: bool
    device: tuple[str, ...]
    lab: Path | None
    python: str
    ssh_option: tuple[str, ...]
    keep: bool
    memory_mb: float | None
    timeout_s: float
    force: bool
    as_json: bool


@click.command("bench", short_help="Measure a package's artifacts on this machine, or on devices.")
@click.argument("package", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=OutputPath(), help="The results file to write, .json; - for standard output.")
@click.option("--artifact", "artifacts", multiple=True, help="Artifact to measure; default: all released. Repeatable.")
@click.option("--target", "targets", multiple=True, help="Where to run: see edgeml targets; default: cpu. Repeatable.")
@click.option("--scenario", "scenarios", multiple=True, type=click.Choice(_SCENARIOS), help="Repeatable.")
@click.option("--threads", multiple=True, type=click.IntRange(1, 1024), help="Cores that a call may use. Repeatable.")
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1, 65536), help="Samples per query. Repeatable.")
@click.option(
    "--size", "sizes", multiple=True, metavar="NAME=N", help="A number for a free size, as length=16000. Repeatable."
)
@click.option("--seconds", type=NumberRange(0.01, 86400), default=3.0, show_default=True, help="Time per measurement.")
@click.option(
    "--latency-bound", type=NumberRange(min=0, min_open=True, max=1e9), metavar="MS", help="Bound of the server's p99."
)
@click.option(
    "--cold-starts", type=click.IntRange(0, 1000), default=6, show_default=True, help="Processes to start per artifact."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Seed of arrivals, and of the order of a comparison."
)
@click.option("--compare", metavar="OTHER", help="Measure in turn with a package, .tflite, .onnx, RECIPE, @TARGET.")
@click.option("--baseline", type=click.Path(path_type=Path), help="The results of an earlier run, to compare with.")
@click.option("--fail-if", metavar="slower=5%", help="Exit with 1 if a median grew by more since the baseline.")
@click.option("--journal", type=click.Path(path_type=Path), help="Save each measurement, and resume from this file.")
@click.option("--skipped", type=click.Path(path_type=Path), hidden=True)  # for benchmarks on devices
@click.option(
    "--trust-source",
    is_flag=True,
    help="Run files that do not pass the audit, and packages built from them: you trust their author.",
)
@device_options
@limits_options
@force_option
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
    edgeml bench speech.onnx --size length=16000
    edgeml bench net.edgeml --baseline results.json --fail-if slower=5%
    edgeml bench net.edgeml --device pi@raspberrypi.local -o pi.json
    edgeml bench net.edgeml --lab devices.toml -o results

    single-stream: one sample after the other. multi-stream: queries of 8 samples, or of --batch. offline: all
    samples in one call. server: the highest rate of random arrivals at which the 99th percentile stays within the
    bound; with --batch up to that many waiting queries run in one call.
    --compare measures two in turn, in one run, and says which is faster, or that they cannot be told apart: packages,
    artifacts, RECIPE@TARGET, or a .tflite or .onnx file with the same inputs, with float inputs and outputs on both
    sides. PACKAGE may be such a file too; cold start and memory are measured of packages only.

    Each artifact runs once in another process, within --memory and --timeout, before it is measured.

    Exit code 1: with --fail-if, an artifact became slower. Disturbances by other work of the machine are reported.
    """
    from edgeml.core.records.benchmark_results import read_results

    baseline, output = options.baseline, options.output
    allowed = _allowed_growth(options.fail_if, baseline)
    if options.compare is not None:
        _check_compare(options.compare, options.package, options.scenarios, baseline)
    devices = read_devices(options.device, options.lab, options.python, options.ssh_option)
    if not devices:
        _check_use(options.scenarios, options.batches, options.latency_bound, options.compare)
    check_stdout(output, as_json=options.as_json)
    if output is not None:
        inputs = (options.package, baseline, options.journal, options.lab)
        if len(devices) < 2 and options.lab is None:
            check_output(output, *inputs, endings=(".json",), same_kind=is_results, force=options.force)
        else:
            check_folder(output, _has_results, force=options.force)
    reference = _reference(options.package)
    earlier = None if baseline is None else read_results(baseline)

    def report(results: Results, file: Path | None, *, text: Console | None) -> int:
        return _report(results, file, text=text, earlier=earlier, allowed=allowed)

    ctx.exit(
        _bench_on_devices(ctx, options, devices, reference, earlier, report)
        if devices
        else _bench_here(options, reference, earlier, report)
    )


def _has_results(folder: Path) -> bool:
    return any(map(is_results, folder.glob("*.json")))


def _bench_on_devices(
    ctx: click.Context,
    options: BenchOptions,
    devices: tuple[Device, ...],
    reference: PackageRef,
    earlier: Results | None,
    report: Callable[..., int],
) -> int:
    """Measure on devices; return the exit code."""
    from edgeml.core.source import is_bare
    from edgeml.measurement.baseline import check_baseline

    package, compare = options.package, options.compare
    if options.journal is not None or is_bare(package) or (compare is not None and _is_file(compare)):
        raise InputError(
            "--device and --lab measure one package: --journal and --compare with a file are not supported there.",
            fix=f"put the file into a package: edgeml build {package}" if is_bare(package) else "",
        )
    if earlier is not None:
        for device in devices:  # their other properties are known when they have measured
            check_baseline(earlier, reference.name, replace(earlier.machine, device=device.title))
    return bench_on_devices(
        ctx, package, devices, output=options.output, keep=options.keep, as_json=options.as_json, report=report
    )


def _bench_here(
    options: BenchOptions, reference: PackageRef, earlier: Results | None, report: Callable[..., int]
) -> int:
    """Measure on this machine, and resume from the journal; return the exit code."""
    from edgeml.cli.bench_worker import BenchWorker, BenchWorkerSettings
    from edgeml.cli.predict_worker import in_child
    from edgeml.core.source import is_bare
    from edgeml.core.system.files import atomic_write
    from edgeml.measurement import BenchPlan, Options, now, results_of, this_machine
    from edgeml.measurement.baseline import check_baseline, missing_cases
    from edgeml.measurement.journal import Journal, JournalHead

    package, compare, machine = options.package, options.compare, this_machine()
    bare = is_bare(package)
    measuring = Options(options.seconds, options.latency_bound, 0 if bare else options.cold_starts, options.seed)
    if earlier is not None:
        check_baseline(earlier, reference.name, machine)
    journal = Journal(options.journal, JournalHead(reference.digest, _other_side(compare), measuring, machine, now()))
    scenarios = options.scenarios
    if compare is not None:
        scenarios = ("multi-stream",) if options.batches else ("single-stream",)
    label = package.name if compare is None or not _is_file(compare) else f"{package.name} or {Path(compare).name}"
    limits = limits_of(options.memory_mb, options.timeout_s)
    settings = BenchWorkerSettings(package.absolute(), options.trust_source, limits, _sizes(options.sizes) or None)
    with in_child(BenchWorker, settings, label) as child:
        planned = child.call(
            "plan",
            options.artifacts,
            options.targets,
            options.threads,
            options.batches,
            scenarios,
            measuring,
            compare,
            returns=BenchPlan,
        )
        if earlier is not None:
            missing_cases(earlier, planned.cases)
        _measure(child, planned.cases, compare, measuring, journal)
    entries = [journal.done[case] for case in planned.cases if case in journal.done]
    measurements = tuple(entry.measurement for entry in entries if entry.measurement is not None)
    comparisons = tuple(entry.comparison for entry in entries if entry.comparison is not None)
    results = results_of(reference, journal.head.date, machine, measurements, comparisons)
    code = report(results, options.output, text=None if options.as_json else console())
    only_packages = ("cold start and memory, which are measured of packages",) if bare and compare is None else ()
    skipped = (*planned.skipped, *only_packages)
    for line in skipped:
        notes().print(f"not measured: {line}", soft_wrap=True)
    if options.skipped is not None:
        atomic_write(options.skipped, msgspec.json.encode(skipped))
    return code


def _sizes(words: tuple[str, ...]) -> dict[str, int]:
    """Return a number for each free size, by name."""
    sizes = sizes_of_words(words)
    numbers = fixed(sizes)
    if numbers != sizes:
        name = next(name for name in sizes if name not in numbers)
        raise InputError(f"--size: got several numbers for '{name}', expected one.", fix="run edgeml bench for each.")
    return numbers


def _check_compare(compare: str, package: Path, scenarios: tuple[str, ...], baseline: Path | None) -> None:
    """Refuse what cannot be combined with --compare."""
    from edgeml.core.source import is_bare

    if scenarios or baseline is not None:
        raise InputError("--compare cannot be combined with --scenario or --baseline.", fix="run edgeml bench twice.")
    if compare.endswith(".edgeml") and is_bare(package):
        raise InputError(
            "--compare: a package cannot be the second of a file and a package, since it provides the inputs.",
            fix=f"edgeml bench {compare} --compare {package}",
        )
    if compare == "":
        raise InputError("--compare is empty.", fix="give a package, a .tflite or .onnx file, RECIPE or @TARGET.")


def _report(
    results: Results, output: Path | None, *, text: Console | None, earlier: Results | None, allowed: float | None
) -> int:
    """Compare results with earlier ones, write and print them.

    Args:
        results: The results.
        output: The file to write.
        text: Console of the tables; None to print JSON.
        earlier: Results to compare with.
        allowed: Share by which a median may grow.

    Returns:
        The exit code.
    """
    from edgeml.cli.bench_table import comparison_lines, measurement_table
    from edgeml.core.records.benchmark_results import encode_results
    from edgeml.measurement import compare_with_baseline
    from edgeml.measurement.baseline import case_of, missing_cases

    try:
        if earlier is not None:
            results = replace(results, comparisons=compare_with_baseline(results, earlier))
    finally:  # measurements are saved also if there is nothing to compare them with
        if output is not None:
            write_output(output, encode_results(results))
    if text is None:
        print_json(results)
    else:
        out = notes() if output == STDOUT else text
        measurement_table(results.measurements, out)
        comparison_lines(results.comparisons, doubts=earlier is None, output=out)
    if earlier is not None:
        for case in missing_cases(earlier, [case_of(item) for item in results.measurements]):
            notes().print(f"not compared: {case}, which is not in the baseline.", soft_wrap=True)
    return 1 if allowed is not None and _became_slower(results.comparisons, allowed) else 0


def _measure(child: Worker, cases: tuple[Case, ...], compare: str | None, options: Options, journal: Journal) -> None:
    """Measure the cases that the journal does not hold yet."""
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
    """Return how results name a package, or a bare model file."""
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
    """Return whether --compare names a package or a model file, in place of an artifact or a target."""
    from edgeml.core.source import is_bare

    return compare.endswith(".edgeml") or is_bare(compare)


def _other_side(compare: str | None) -> str:
    """Return how a journal names the other side of a comparison."""
    if compare is None:
        return ""
    return _reference(Path(compare)).digest if _is_file(compare) else compare


def _check_use(
    scenarios: tuple[str, ...], batches: tuple[int, ...], latency_bound: float | None, compare: str | None
) -> None:
    """Refuse options without effect; the options of a device may name other scenarios.

    Raises:
        InputError: No scenario uses the batches, or the bound.
    """
    if batches and set(scenarios) == {"single-stream"}:
        raise InputError(
            "--batch does not apply to --scenario single-stream.", fix="add a --scenario, for instance offline."
        )
    if latency_bound is not None and ("server" not in scenarios or compare is not None):
        raise InputError("--latency-bound requires --scenario server.", fix="add --scenario server.")


def _allowed_growth(fail_if: str | None, baseline: Path | None) -> float | None:
    """Return the share by which a median may grow."""
    if fail_if is None:
        return None
    if baseline is None:
        raise InputError("--fail-if requires --baseline.", fix="give --baseline RESULTS.json.")
    name, _, text = map(str.strip, fail_if.partition("="))
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    # Without the sign 5 may mean five times, and 0.05 five hundredths.
    if name != "slower" or not text.endswith("%") or not 0 <= share <= _MAX_GROWTH:
        raise InputError(f"--fail-if: got '{fail_if}', expected for instance slower=5%.")
    return share


def _became_slower(comparisons: tuple[Comparison, ...], allowed: float) -> bool:
    """Return whether a median certainly grew by more than allowed, and print which."""
    from edgeml.cli.bench_table import ratio_text

    failed = [item for item in comparisons if item.verdict == "slower" and item.ratio.value > 1 + allowed]
    uncertain = [item for item in comparisons if item.verdict != "slower" and item.ratio.value > 1 + allowed]
    for item in failed:
        line = (
            f"failed: {item.what} takes {ratio_text(item.ratio)} as long as in {item.baseline}; "
            f"{100 * allowed:g}% more is allowed."
        )
        click.echo(printable(line), err=True)  # also with --quiet: the reason of the exit code
    for item in uncertain:
        notes().print(
            f"open: {item.what} takes {ratio_text(item.ratio)} as long as in {item.baseline}, which may be noise; "
            "measure for longer.",
            soft_wrap=True,
        )
    return bool(failed)
