"""The table of a package's artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeml.cli.output import console
from edgeml.core.records.evidence import SIGNIFICANCE_LEVEL
from edgeml.core.source import MAIN_METRIC

if TYPE_CHECKING:
    from rich.console import Console

    from edgeml.package.manifest import ArtifactRecord, Manifest

__all__ = ["artifact_table"]

# What goes first where the terminal is too narrow for all.
_DISPENSABLE = ("ms", "kB", "SQNR", "agree", "drop [95%]", "accuracy", "r2", "relative_mse")


def artifact_table(manifest: Manifest, output: Console | None = None) -> None:
    """A row for each artifact: what it weighs, how good it is, whether it may be used; then the notes.

    On a narrow terminal columns are left out; the artifact and its verdict never are.
    """
    from rich.table import Table

    output = output or console()
    columns = _columns(manifest)
    for name in _DISPENSABLE:
        if sum(max(map(len, [title, *cells])) + 1 for title, cells in columns.items()) - 1 <= output.width:
            break
        columns.pop(name, None)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title in columns:
        table.add_column(title, justify="left" if title in {"artifact", "verdict"} else "right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row, style={"rejected": "yellow", "refused": "dim"}.get(row[-1]))
    output.print(table)
    for line in _notes(manifest):
        output.print(line)


def _columns(manifest: Manifest) -> dict[str, list[str]]:
    """Cells by title; a recipe that was refused has dashes."""
    records, metric = manifest.artifacts, _metric_name(manifest)
    columns = {"kB": [f"{manifest.files[record.file].size_bytes / 1000:.1f}" for record in records]}
    if manifest.data.labelled:
        columns[metric] = [_metric(record, metric) for record in records]
        columns["drop [95%]"] = [_drop(record) for record in records]
    fidelities = [record.evaluation.fidelity for record in records]
    if manifest.source.decision is not None:
        columns["agree"] = ["-" if f.agreement is None else f"{f.agreement:.1%}" for f in fidelities]
    columns["SQNR"] = [f"{fidelity.sqnr_db:.1f}" for fidelity in fidelities]
    if any(record.measurement for record in records):
        columns["ms"] = ["-" if r.measurement is None else f"{r.measurement.median_ms:.3f}" for r in records]
    refused = [item.recipe for item in manifest.refused]
    return {
        "artifact": [record.recipe for record in records] + refused,
        **{title: cells + ["-"] * len(refused) for title, cells in columns.items()},
        "verdict": [record.verdict.status for record in records] + ["refused"] * len(refused),
    }


def _notes(manifest: Manifest) -> list[str]:
    """Why artifacts were rejected and recipes refused, and what limits the proof."""
    from edgeml.package.remarks import manifest_remarks

    data = manifest.data
    lines = [*manifest_remarks(manifest), *_chance(manifest)]
    if data.judged_on != "evaluation":
        lines.append(f"Judged on {data.judged_samples} {data.judged_on} samples: no evaluation data were given.")
    return lines


def _chance(manifest: Manifest) -> list[str]:
    """Where accuracy changed by more than chance, and how well probabilities are calibrated."""
    lines = []
    for record in manifest.artifacts:
        test = record.evaluation.mcnemar
        if test is not None and test.p_value < SIGNIFICANCE_LEVEL:
            lines.append(
                f"{record.recipe} loses {test.lost} right answers of the source and gains {test.gained}, which is "
                f"significant (McNemar, p = {test.p_value:.2g})."
            )
    errors = [(found.source_ece, found.ece) for found in (record.evaluation for record in manifest.artifacts)]
    known = [(before, after) for before, after in errors if before is not None and after is not None]
    if known:
        low, high = (f"{pick(after for _, after in known):.1%}" for pick in (min, max))
        found = low if low == high else f"{low} to {high}"
        lines.append(f"Calibration error (ECE): {known[0][0]:.1%} of the source, {found} of the artifacts.")
    return lines


def _metric_name(manifest: Manifest) -> str:
    return MAIN_METRIC.get(manifest.source.task or "", "accuracy")


def _metric(record: ArtifactRecord, name: str) -> str:
    value = getattr(record.evaluation.metrics, name, None)
    if value is None:
        return "-"
    return f"{value:.1%}" if name == "accuracy" else f"{value:.4f}"


def _drop(record: ArtifactRecord) -> str:
    drop = record.evaluation.drop
    if drop is None:
        return "-"
    if drop.metric == "accuracy":
        return f"{100 * drop.value:+.1f} [{100 * drop.low:+.1f},{100 * drop.high:+.1f}]"
    return f"{drop.value:+.4f} [{drop.low:+.4f},{drop.high:+.4f}]"
