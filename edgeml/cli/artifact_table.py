"""Table of a package's artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeml.cli.columns import print_columns
from edgeml.cli.output import console
from edgeml.cli.refusals import refusal_lines
from edgeml.core.records.evidence import METRIC_NAMES, PERCENT_METRICS, SIGNIFICANCE_LEVEL, format_drop
from edgeml.core.source import MAIN_METRIC

if TYPE_CHECKING:
    from rich.console import Console

    from edgeml.package.manifest import ArtifactRecord, Manifest

__all__ = ["artifact_table"]


def artifact_table(manifest: Manifest, logs: Mapping[str, str] | None = None, *, output: Console | None = None) -> None:
    """Print a row for each artifact with its size, accuracy and verdict; then notes on rejections and refusals.

    Args:
        manifest: The manifest of a package.
        logs: What the converters printed about refused recipes, by recipe, as far as it is kept.
        output: The console to print to; standard output if None.
    """
    output = output or console()
    columns = _columns(manifest)
    styles = [{"rejected": "yellow", "refused": "dim"}.get(status) for status in columns["verdict"]]
    print_columns(output, columns, keys={"artifact"}, keep={"verdict"}, left={"verdict"}, styles=styles)
    for line in _notes(manifest, logs or {}):
        output.print(line, soft_wrap=not output.is_terminal)


def _columns(manifest: Manifest) -> dict[str, list[str]]:
    """Compose the cells by title; a refused recipe has dashes."""
    records, metric = manifest.artifacts, _metric_name(manifest)
    columns = {"kB": [f"{manifest.files[record.file].size_bytes / 1000:.1f}" for record in records]}
    if manifest.data.labelled:
        if metric:
            columns[METRIC_NAMES[metric]] = [_metric(record, metric) for record in records]
        columns["drop [95%]"] = [_drop(record) for record in records]
    fidelities = [record.evaluation.fidelity for record in records]
    if manifest.source.decisions is not None:
        columns["agree"] = ["-" if f.agreement is None else f"{f.agreement:.1%}" for f in fidelities]
    if any(fidelity.equal is not None for fidelity in fidelities):
        columns["equal"] = ["-" if f.equal is None else f"{f.equal:.1%}" for f in fidelities]
    columns["SQNR"] = ["-" if f.float_sqnr_db is None else f"{f.sqnr_db:.1f}" for f in fidelities]
    if any(record.measurement for record in records):
        columns["ms"] = ["-" if r.measurement is None else f"{r.measurement.median_ms:.3f}" for r in records]
    refused = [item.recipe for item in manifest.refused]
    return {
        "artifact": [record.recipe for record in records] + refused,
        **{title: cells + ["-"] * len(refused) for title, cells in columns.items()},
        "verdict": [record.verdict.status for record in records] + ["refused"] * len(refused),
    }


def _notes(manifest: Manifest, logs: Mapping[str, str]) -> list[str]:
    """Explain rejections and refusals, and name the limits of the proof."""
    from msgspec.structs import replace

    from edgeml.package.remarks import manifest_remarks

    data = manifest.data
    remarks = manifest_remarks(replace(manifest, refused=()))
    lines = [*refusal_lines(manifest.refused, logs), *remarks, *_accuracy_notes(manifest)]
    if data.judged_on != "evaluation":
        lines.append(f"Judged on {data.judged_samples} {data.judged_on} samples: no evaluation data were given.")
    return lines


def _accuracy_notes(manifest: Manifest) -> list[str]:
    """Name significant changes of accuracy, and how well probabilities are calibrated."""
    lines = []
    for record in manifest.artifacts:
        test = record.evaluation.mcnemar
        if test is not None and test.p_value < SIGNIFICANCE_LEVEL:
            lines.append(
                f"{record.recipe} loses {test.lost} right answers of the source and gains {test.gained}, which is "
                f"significant (McNemar's exact test, p = {test.p_value:.2g})."
            )
    errors = [(item.source_ece, item.ece) for item in (record.evaluation for record in manifest.artifacts)]
    known = [(before, after) for before, after in errors if before is not None and after is not None]
    if known:
        low, high = (f"{pick(after for _, after in known):.1%}" for pick in (min, max))
        span = low if low == high else f"{low} to {high}"
        lines.append(f"Calibration error (ECE): {known[0][0]:.1%} of the source, {span} of the artifacts.")
    return lines


def _metric_name(manifest: Manifest) -> str:
    """Return the task's main metric; empty for several outputs, of which each has its own."""
    return "" if manifest.source.heads else MAIN_METRIC.get(manifest.source.task or "", "accuracy")


def _metric(record: ArtifactRecord, name: str) -> str:
    value = getattr(record.evaluation.metrics, name, None)
    if value is None:
        return "-"
    return f"{value:.1%}" if name in PERCENT_METRICS else f"{value:.4f}"


def _drop(record: ArtifactRecord) -> str:
    drop = record.evaluation.drop
    if drop is None:
        return "-"
    if drop.metric in PERCENT_METRICS:  # the unit once, for the width of a terminal
        return (
            f"{format_drop(drop.value, drop.metric, digits=1, sign='+')} [{100 * drop.low:+.1f},{100 * drop.high:+.1f}]"
        )
    return f"{drop.value:+.4f} [{drop.low:+.4f},{drop.high:+.4f}]"
