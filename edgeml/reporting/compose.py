"""From a package and its results to a report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgeml.core.records.evidence_details import Evidence
from edgeml.core.source import MAIN_METRIC
from edgeml.package import Package
from edgeml.package.explain import explain
from edgeml.package.manifest import ArtifactRecord, Manifest
from edgeml.package.remarks import manifest_remarks
from edgeml.reporting.document import Column, Document, Fact, Table
from edgeml.reporting.formatting import (
    decibels,
    drop_text,
    drop_title,
    first,
    interval,
    kilobytes,
    metric_text,
    metric_title,
    milliseconds,
    rate,
    shown,
)
from edgeml.reporting.inputs import Device, read_devices, training_of
from edgeml.reporting.sections.calibration import calibration_section
from edgeml.reporting.sections.classes import classes_section
from edgeml.reporting.sections.costs import costs_section
from edgeml.reporting.sections.devices import comparison_section, device_section
from edgeml.reporting.sections.evidence import evidence_section
from edgeml.reporting.sections.latency import latency_section
from edgeml.reporting.sections.lineage import lineage_section
from edgeml.reporting.sections.machine import machine_section
from edgeml.reporting.sections.throughput import throughput_section
from edgeml.reporting.sections.tradeoff import tradeoff_section
from edgeml.reporting.sections.training import training_section
from edgeml.reporting.speeds import Speed, fastest, speeds_by_machine

__all__ = ["FORMATS", "Format", "make_report", "written"]

Format = Literal["html", "markdown", "png"]
FORMATS: tuple[Format, ...] = ("html", "markdown", "png")

_MOST_CAUTIONS, _MOST_NAMES, _MOST_OTHERS = 20, 4, 2
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def make_report(package: Package, results: Sequence[Path], form: Format = "html") -> bytes:
    """A report of a package, and of what was measured of it.

    Args:
        package: The package.
        results: Results files of `edgeml bench`, one for each device.
        form: ``html`` for a page that needs no network, ``markdown`` for a pull request, ``png`` for a slide.

    Returns:
        The file's bytes.

    Raises:
        InputError: A results file is missing, not sound, of another package, or empty.
        StorageError: One cannot be read.
        PackageError: The package is damaged.
        MissingDependencyError: The extra ``report`` is not installed.

    Example:
        >>> Path("report.html").write_bytes(make_report(edgeml.open_package("net.edgeml"), []))
    """
    devices = read_devices(results, package)
    document = written(package, devices)
    if form == "markdown":
        from edgeml.reporting.markdown import markdown

        return markdown(document).encode()
    if form == "png":
        from edgeml.reporting.image import slide

        return slide(document, package.manifest, speeds_by_machine(package.manifest, devices))
    from edgeml.reporting.page import page

    return page(document).encode()


def written(package: Package, devices: Sequence[Device]) -> Document:
    """What the report says.

    Raises:
        PackageError: The package is damaged.
    """
    manifest = package.manifest
    speeds = speeds_by_machine(manifest, devices)
    here = next(iter(speeds.values()), {})
    sizes = {record.recipe: manifest.files[record.file].size_bytes for record in manifest.artifacts}
    chosen = fastest([record for record in manifest.artifacts if record.verdict.released], here, sizes)
    best = chosen[0] if chosen is not None else None
    doubtful = any(_flags(device) for device in devices)
    ship = best.recipe if best is not None else None
    explanations = explain(package).artifacts
    details = {one.recipe: one.evidence or Evidence() for one in explanations}
    training = training_of(package)
    sections = (
        tradeoff_section(manifest, speeds),
        device_section(manifest, devices, speeds),
        latency_section(devices),
        throughput_section(devices),
        costs_section(devices),
        comparison_section(devices),
        evidence_section(explanations, manifest.data.judged_samples, ship),
        classes_section(details, manifest.source.decision.labels if manifest.source.decision else (), ship),
        calibration_section(details[ship], ship) if ship is not None else None,
        training_section(training) if training is not None else None,
        lineage_section(manifest, training),
        machine_section(manifest, devices),
    )
    source = manifest.source
    return Document(
        f"{manifest.name} {manifest.version}",
        f"{shown(f'{source.framework} {source.architecture}')}, {source.task or 'no task'}",
        "bad" if best is None else "open" if doubtful or best.verdict.open_remarks else "good",
        _verdict(manifest, chosen, here, next(iter(speeds), ""))
        + _elsewhere(manifest, speeds, sizes)
        + " Some of the measurements are doubtful." * doubtful,
        _facts(best, here, sizes),
        _cautions(manifest, devices),
        _table(manifest, here, best),
        tuple(section for section in sections if section is not None),
        f"edgeml {manifest.edgeml}",
    )


def _verdict(
    manifest: Manifest, chosen: tuple[ArtifactRecord, str] | None, speeds: dict[str, Speed], machine: str
) -> str:
    asked = len(manifest.artifacts) + len(manifest.refused)
    released = sum(record.verdict.released for record in manifest.artifacts)
    counts = f"{released} of {asked} recipes {'is' if released == 1 else 'are'} released."
    if chosen is None:
        reasons = [f"{record.recipe}: {reason}" for record in manifest.artifacts for reason in record.verdict.reasons]
        reasons += [f"{refused.recipe}: {refused.reason}" for refused in manifest.refused]
        why = f" For one, {shown(reasons[0], 200).rstrip('.')}." if reasons else ""
        return f"Ship none of these: {counts}{why}"
    best, why = chosen
    data, drop, fidelity = manifest.data, best.evaluation.drop, best.evaluation.fidelity
    judged = f"{data.judged_samples:,} {shown(data.judged_on)} samples"
    if drop is not None:
        unit = " points" if drop.metric == "accuracy" else ""
        lost = f"a {drop_title(drop.metric)} of {drop_text(drop)}{unit} on {judged}"
    else:
        lost = f"an SQNR of {decibels(fidelity.sqnr_db)} dB on {judged}; accuracy was not measured"
    size = f"{kilobytes(manifest.files[best.file].size_bytes)} kB"
    speed = speeds.get(best.recipe)
    took = f", {milliseconds(speed.median.value)} ms a sample on {shown(machine)}" if speed is not None else ""
    opened = best.verdict.open_remarks
    still = f" The verdict is {shown(str(opened[0]), 300)}." if opened else ""
    return f"Ship {best.recipe}: {lost}{took}, {size}. It is {why}. {counts}{still}"


def _elsewhere(manifest: Manifest, speeds: dict[str, dict[str, Speed]], sizes: dict[str, int]) -> str:
    """What to take on the devices after the first."""
    released = [record for record in manifest.artifacts if record.verdict.released]
    parts = []
    for machine, found in list(speeds.items())[1 : 1 + _MOST_OTHERS]:
        best = fastest([record for record in released if record.recipe in found], found, sizes)
        if best is not None:
            took = milliseconds(found[best[0].recipe].median.value)
            parts.append(f"on {shown(machine)} take {best[0].recipe}, {took} ms")
    told = "; ".join(parts)
    return f" {told[0].upper()}{told[1:]}." if told else ""


def _facts(best: ArtifactRecord | None, speeds: dict[str, Speed], sizes: dict[str, int]) -> tuple[Fact, ...]:
    """The figures of the artifact to ship; beside float32 of its format where that is there."""
    if best is None:
        return ()
    plain = f"{best.recipe.partition('-')[0]}-fp32"
    beside = plain if plain in sizes and plain != best.recipe else None
    facts = [Fact("ship", best.recipe)]
    drop = best.evaluation.drop
    if drop is not None:
        value, _, ends = drop_text(drop).partition(" ")
        unit = " points" if drop.metric == "accuracy" else ""
        facts.append(Fact(drop_title(drop.metric), f"{value}{unit}", f"95% {ends}"))
    else:
        facts.append(Fact("SQNR", f"{decibels(best.evaluation.fidelity.sqnr_db)} dB"))
    if (speed := speeds.get(best.recipe)) is not None:
        ends = interval(speed.median).partition(" ")[2]
        ratio = speeds[beside].median.value / speed.median.value if beside in speeds and beside else None
        also = f"{ratio:.2f}× as fast as {beside}" if ratio is not None else ""
        facts.append(Fact("median latency", f"{milliseconds(speed.median.value)} ms", also or (ends and f"95% {ends}")))
    share = f"{sizes[best.recipe] / sizes[beside]:.0%} of {beside}" if beside is not None else ""
    facts.append(Fact("size", f"{kilobytes(sizes[best.recipe])} kB", share))
    return tuple(facts)


def _cautions(manifest: Manifest, devices: Sequence[Device]) -> tuple[str, ...]:
    """Flags of the measurements, what was rejected or refused, remarks of the verdicts."""
    lines = [line for device in devices for line in _flags(device)] + manifest_remarks(manifest, shown)
    kept, left_out = first(lines, _MOST_CAUTIONS)
    return (*kept, f"{left_out:,} more remarks are left out.") if left_out else kept


def _flags(device: Device) -> list[str]:
    """What makes a device's figures doubtful: each kind of flag once, with the artifacts that it was seen with."""
    seen = [(flag, one.artifact) for one in device.results.measurements for flag in one.conditions.flags]
    seen += [
        (flag, f"{pair.what} beside {pair.baseline}")
        for pair in device.results.comparisons
        for flag in pair.conditions.flags
    ]
    kinds: dict[str, list[tuple[str, str]]] = {}
    for flag, where in seen:
        kinds.setdefault(_NUMBER.sub("#", flag), []).append((flag, where))
    count = len(device.results.measurements) + len(device.results.comparisons)
    lines = []
    for kind in kinds.values():
        worst = max((flag for flag, _ in kind), key=lambda flag: [float(number) for number in _NUMBER.findall(flag)])
        names, more = first(list(dict.fromkeys(shown(where) for _, where in kind)), _MOST_NAMES)
        told = ", ".join(names) + (f" and {more} more" if more else "")
        at_worst = ", at worst" if len({flag for flag, _ in kind}) > 1 else ""
        lines.append(
            f"Doubtful on {shown(device.name)} in {len(kind)} of {count} measurements ({told}){at_worst}: "
            f"{shown(worst, 200).rstrip('.')}."
        )
    return lines


def _table(manifest: Manifest, speeds: dict[str, Speed], best: ArtifactRecord | None) -> Table:
    records, metric = manifest.artifacts, MAIN_METRIC.get(manifest.source.task or "", "accuracy")
    cells: dict[str, list[str]] = {"artifact": [record.recipe for record in records]}
    cells["kB"] = [kilobytes(manifest.files[record.file].size_bytes) for record in records]
    if manifest.data.labelled:
        values = [getattr(record.evaluation.metrics, metric, None) for record in records]
        cells[metric_title(metric)] = ["–" if value is None else metric_text(metric, value) for value in values]
        drops = [record.evaluation.drop for record in records]
        lost = "rise" if metric == "relative_mse" else "drop"
        cells[f"{lost} [95%]"] = ["–" if drop is None else drop_text(drop) for drop in drops]
    found = [record.evaluation.fidelity for record in records]
    if manifest.source.decision is not None:
        cells["agree"] = ["–" if one.agreement is None else f"{one.agreement:.1%}" for one in found]
    cells["SQNR, dB"] = [decibels(one.sqnr_db) for one in found]
    timed = [speeds.get(record.recipe) for record in records]
    if any(timed):
        at = next(f"{100 * speed.high_at:g}%" for speed in timed if speed is not None)
        cells["median, ms"] = ["–" if one is None else interval(one.median) for one in timed]
        cells[f"{at}, ms"] = ["–" if one is None or one.high is None else milliseconds(one.high.value) for one in timed]
    if any(one is not None and one.throughput for one in timed):
        cells["most samples/s"] = [
            "–" if one is None or one.throughput is None else rate(one.throughput.value) for one in timed
        ]
    cells["verdict"] = [record.verdict.status for record in records]
    states = ["best" if record is best else record.verdict.status for record in records]
    for refused in manifest.refused:
        for title, column in cells.items():
            column.append({"artifact": shown(refused.recipe), "verdict": "refused"}.get(title, "–"))
        states.append("refused")
    columns = tuple(Column(title, figures=title not in {"artifact", "verdict"}) for title in cells)
    data = manifest.data
    title = f"Judged on {data.judged_samples:,} {shown(data.judged_on)} samples"
    rows, left_out = first(list(zip(*cells.values(), strict=True)), 100)
    return Table(title, columns, rows, tuple(states[: len(rows)]), left_out)
