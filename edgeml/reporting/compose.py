"""Composition of a report from a package and its benchmark results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgeml.core.free_sizes import size_text
from edgeml.core.records.benchmark_results import Results
from edgeml.core.records.evidence import Fidelity
from edgeml.core.records.evidence_details import Evidence
from edgeml.core.source import MAIN_METRIC
from edgeml.package import Package
from edgeml.package.explain import explain
from edgeml.package.manifest import ArtifactRecord, Manifest
from edgeml.package.remarks import manifest_remarks
from edgeml.reporting.document import Column, Document, Fact, Table
from edgeml.reporting.formatting import (
    display_text,
    drop_title,
    format_db,
    format_drop,
    format_interval,
    format_kb,
    format_metric,
    format_ms,
    format_rate,
    format_samples,
    metric_title,
    truncate,
)
from edgeml.reporting.inputs import Device, read_devices, read_training
from edgeml.reporting.sections.calibration import calibration_section
from edgeml.reporting.sections.classes import classes_section
from edgeml.reporting.sections.costs import costs_section
from edgeml.reporting.sections.devices import comparison_section, device_section
from edgeml.reporting.sections.evidence import evidence_section
from edgeml.reporting.sections.latency import latency_section
from edgeml.reporting.sections.lineage import lineage_section
from edgeml.reporting.sections.machine import machine_section
from edgeml.reporting.sections.sizes import sizes_section
from edgeml.reporting.sections.throughput import throughput_section
from edgeml.reporting.sections.tradeoff import tradeoff_section
from edgeml.reporting.sections.training import training_section
from edgeml.reporting.speeds import Speed, select_fastest, speeds_by_machine

__all__ = ["FORMATS", "Format", "compose_document", "make_report"]

Format = Literal["html", "markdown", "png"]
FORMATS: tuple[Format, ...] = ("html", "markdown", "png")

_MAX_CAUTIONS, _MAX_NAMES, _MAX_OTHERS = 20, 4, 2
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def make_report(package: Package, results: Sequence[Path | Results], form: Format = "html") -> bytes:
    """Write a report of a package and its benchmark results.

    Args:
        package: The package.
        results: Results of `edgeml bench` or the paths of its files, one for each device.
        form: ``html`` for a page that needs no network, ``markdown`` for a pull request, ``png`` for a slide.

    Returns:
        Content of the file.

    Raises:
        InputError: A results file is missing, invalid, empty, or belongs to another package.
        StorageError: A results file cannot be read.
        PackageError: The package is corrupt.
        MissingDependencyError: The extra ``report`` is not installed.

    Example:
        >>> Path("report.html").write_bytes(make_report(edgeml.open_package("net.edgeml"), []))
    """
    devices = read_devices(results, package)
    document = compose_document(package, devices)
    if form == "markdown":
        from edgeml.reporting.markdown import write_markdown

        return write_markdown(document).encode()
    if form == "png":
        from edgeml.reporting.image import draw_slide

        return draw_slide(document, package.manifest, speeds_by_machine(package.manifest, devices))
    from edgeml.reporting.page import render_page

    return render_page(document).encode()


def compose_document(package: Package, devices: Sequence[Device]) -> Document:
    """Compose the content of a report.

    Raises:
        PackageError: The package is corrupt.
    """
    manifest = package.manifest
    speeds = speeds_by_machine(manifest, devices)
    first_speeds = next(iter(speeds.values()), {})
    sizes = {record.recipe: manifest.files[record.file].size_bytes for record in manifest.artifacts}
    choice = select_fastest([record for record in manifest.artifacts if record.verdict.released], first_speeds, sizes)
    best = choice[0] if choice is not None else None
    doubtful = any(_flags(device) for device in devices)
    best_name = best.recipe if best is not None else None
    explanations = explain(package).artifacts
    details = {explanation.recipe: explanation.evidence or Evidence() for explanation in explanations}
    training = read_training(package)
    sections = (
        tradeoff_section(manifest, speeds),
        device_section(manifest, devices, speeds),
        latency_section(devices),
        throughput_section(devices),
        costs_section(devices),
        comparison_section(devices),
        sizes_section(manifest),
        evidence_section(explanations, manifest.data.judged_samples, best_name),
        classes_section(
            details,
            manifest.source.decision.labels if manifest.source.decision else (),
            best_name,
            manifest.source.task,
        ),
        calibration_section(details[best_name], best_name) if best_name is not None else None,
        training_section(training) if training is not None else None,
        lineage_section(manifest, training),
        machine_section(manifest, devices),
    )
    source = manifest.source
    return Document(
        f"{manifest.name} {manifest.version}",
        f"{display_text(f'{source.framework} {source.architecture}')}, {source.task or 'no task'}",
        "bad" if best is None else "open" if doubtful or best.verdict.open_remarks else "good",
        _verdict(manifest, choice, first_speeds, next(iter(speeds), ""))
        + _other_devices(manifest, speeds, sizes)
        + " Some of the measurements are doubtful." * doubtful,
        _facts(best, first_speeds, sizes),
        _cautions(manifest, devices),
        _table(manifest, first_speeds, best),
        tuple(section for section in sections if section is not None),
        f"edgeml {manifest.edgeml}",
    )


def _verdict(
    manifest: Manifest, choice: tuple[ArtifactRecord, str] | None, speeds: dict[str, Speed], machine: str
) -> str:
    recipes = len(manifest.artifacts) + len(manifest.refused)
    released = sum(record.verdict.released for record in manifest.artifacts)
    counts = f"{released} of {recipes} recipes {'is' if released == 1 else 'are'} released."
    if choice is None:
        reasons = [f"{record.recipe}: {reason}" for record in manifest.artifacts for reason in record.verdict.reasons]
        reasons += [f"{refused.recipe}: {refused.reason}" for refused in manifest.refused]
        example = f" For one, {display_text(reasons[0], 200).rstrip('.')}." if reasons else ""
        return f"Ship none of these: {counts}{example}"
    best, reason = choice
    data, drop, fidelity = manifest.data, best.evaluation.drop, best.evaluation.fidelity
    samples = format_samples(data)
    if drop is not None:
        quality = f"a {drop_title(drop.metric)} of {format_drop(drop)} on {samples}"
    else:
        quality = f"{_closeness(fidelity)} on {samples}; accuracy was not measured"
    size = f"{format_kb(manifest.files[best.file].size_bytes)} kB"
    speed = speeds.get(best.recipe)
    latency = f", {format_ms(speed.median.value)} ms a sample on {display_text(machine)}" if speed is not None else ""
    remarks = best.verdict.open_remarks
    remark_text = f" The verdict is {display_text(str(remarks[0]), 300)}." if remarks else ""
    return f"Ship {best.recipe}: {quality}{latency}, {size}. It is {reason}. {counts}{remark_text}"


def _closeness(fidelity: Fidelity) -> str:
    """Describe how near outputs are to the source's: equality of integers, SQNR of the others."""
    parts = [] if fidelity.equal is None else [f"{fidelity.equal:.2%} of integers equal to the source's"]
    parts += [] if fidelity.float_sqnr_db is None else [f"an SQNR of {format_db(fidelity.sqnr_db)} dB"]
    return " and ".join(parts)


def _other_devices(manifest: Manifest, speeds: dict[str, dict[str, Speed]], sizes: dict[str, int]) -> str:
    """Recommend an artifact for each device after the first."""
    released = [record for record in manifest.artifacts if record.verdict.released]
    parts = []
    for machine, device_speeds in list(speeds.items())[1 : 1 + _MAX_OTHERS]:
        best = select_fastest([record for record in released if record.recipe in device_speeds], device_speeds, sizes)
        if best is not None:
            latency = format_ms(device_speeds[best[0].recipe].median.value)
            parts.append(f"on {display_text(machine)} take {best[0].recipe}, {latency} ms")
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _facts(best: ArtifactRecord | None, speeds: dict[str, Speed], sizes: dict[str, int]) -> tuple[Fact, ...]:
    """List key figures of the recommended artifact, relative to the float32 artifact of its format if there is one."""
    if best is None:
        return ()
    float32 = f"{best.recipe.partition('-')[0]}-fp32"
    reference = float32 if float32 in sizes and float32 != best.recipe else None
    facts = [Fact("ship", best.recipe)]
    drop = best.evaluation.drop
    if drop is not None:
        value, _, interval = format_drop(drop).partition(" ")
        facts.append(Fact(drop_title(drop.metric), value, f"95% {interval}"))
    else:
        fidelity = best.evaluation.fidelity
        facts += [] if fidelity.equal is None else [Fact("equal integers", f"{fidelity.equal:.2%}")]
        facts += [] if fidelity.float_sqnr_db is None else [Fact("SQNR", f"{format_db(fidelity.sqnr_db)} dB")]
    if (speed := speeds.get(best.recipe)) is not None:
        interval = format_interval(speed.median).partition(" ")[2]
        ratio = speeds[reference].median.value / speed.median.value if reference in speeds and reference else None
        detail = f"{ratio:.2f}× as fast as {reference}" if ratio is not None else interval and f"95% {interval}"
        facts.append(Fact("median latency", f"{format_ms(speed.median.value)} ms", detail))
    share = f"{sizes[best.recipe] / sizes[reference]:.0%} of {reference}" if reference is not None else ""
    facts.append(Fact("size", f"{format_kb(sizes[best.recipe])} kB", share))
    return tuple(facts)


def _cautions(manifest: Manifest, devices: Sequence[Device]) -> tuple[str, ...]:
    """List measurement flags, rejected and refused recipes, and verdict remarks."""
    lines = [line for device in devices for line in _flags(device)] + manifest_remarks(manifest, display_text)
    kept, omitted = truncate(lines, _MAX_CAUTIONS)
    return (*kept, f"{omitted:,} more remarks are left out.") if omitted else kept


def _flags(device: Device) -> list[str]:
    """Write one line per kind of flag that makes a device's figures doubtful, with the affected artifacts."""
    results = device.results
    flags = [(flag, item.artifact) for item in results.measurements for flag in item.conditions.flags]
    flags += [
        (flag, f"{pair.what} against {pair.baseline}") for pair in results.comparisons for flag in pair.conditions.flags
    ]
    kinds: dict[str, list[tuple[str, str]]] = {}
    for flag, subject in flags:
        kinds.setdefault(_NUMBER.sub("#", flag), []).append((flag, subject))
    count = len(results.measurements) + len(results.comparisons)
    lines = []
    for kind in kinds.values():
        worst = max((flag for flag, _ in kind), key=lambda flag: [float(number) for number in _NUMBER.findall(flag)])
        names, more = truncate(list(dict.fromkeys(display_text(subject) for _, subject in kind)), _MAX_NAMES)
        subjects = ", ".join(names) + (f" and {more} more" if more else "")
        at_worst = ", at worst" if len({flag for flag, _ in kind}) > 1 else ""
        lines.append(
            f"Doubtful on {display_text(device.name)} in {len(kind)} of {count} measurements ({subjects}){at_worst}: "
            f"{display_text(worst, 200).rstrip('.')}."
        )
    return lines


def _table(manifest: Manifest, speeds: dict[str, Speed], best: ArtifactRecord | None) -> Table:
    records = manifest.artifacts
    metric = "" if manifest.source.heads else MAIN_METRIC.get(manifest.source.task or "", "accuracy")
    cells: dict[str, list[str]] = {"artifact": [record.recipe for record in records]}
    cells["kB"] = [format_kb(manifest.files[record.file].size_bytes) for record in records]
    if manifest.data.labelled:
        values = [getattr(record.evaluation.metrics, metric, None) for record in records]
        if metric:
            cells[metric_title(metric)] = ["–" if value is None else format_metric(metric, value) for value in values]
        drops = [record.evaluation.drop for record in records]
        change = "rise" if metric == "relative_mse" else "drop"
        cells[f"{change} [95%]"] = ["–" if drop is None else format_drop(drop) for drop in drops]
    fidelities = [record.evaluation.fidelity for record in records]
    if manifest.source.decisions is not None:
        cells["agree"] = ["–" if item.agreement is None else f"{item.agreement:.1%}" for item in fidelities]
    if any(item.equal is not None for item in fidelities):
        cells["equal"] = ["–" if item.equal is None else f"{item.equal:.1%}" for item in fidelities]
    cells["SQNR, dB"] = ["–" if item.float_sqnr_db is None else format_db(item.sqnr_db) for item in fidelities]
    row_speeds = [speeds.get(record.recipe) for record in records]
    if any(row_speeds):
        at = next(f"{100 * speed.high_at:g}%" for speed in row_speeds if speed is not None)
        cells["median, ms"] = ["–" if speed is None else format_interval(speed.median) for speed in row_speeds]
        cells[f"{at}, ms"] = [
            "–" if speed is None or speed.high is None else format_ms(speed.high.value) for speed in row_speeds
        ]
    if any(speed is not None and speed.throughput for speed in row_speeds):
        cells["most samples/s"] = [
            "–" if speed is None or speed.throughput is None else format_rate(speed.throughput.value)
            for speed in row_speeds
        ]
    cells["verdict"] = [record.verdict.status for record in records]
    states = ["best" if record is best else record.verdict.status for record in records]
    for refused in manifest.refused:
        for title, column in cells.items():
            column.append({"artifact": display_text(refused.recipe), "verdict": "refused"}.get(title, "–"))
        states.append("refused")
    columns = tuple(Column(title, figures=title not in {"artifact", "verdict"}) for title in cells)
    at = f" at {display_text(size_text(manifest.golden.sizes))}" if manifest.golden.sizes else ""
    title = f"Judged on {format_samples(manifest.data)}{at}"
    rows, omitted = truncate(list(zip(*cells.values(), strict=True)), 100)
    return Table(title, columns, rows, tuple(states[: len(rows)]), omitted)
