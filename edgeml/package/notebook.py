"""HTML form of a package for notebooks."""

from __future__ import annotations

from edgeml.core.html import html_table
from edgeml.core.records.evidence import PERCENT_METRICS, format_drop
from edgeml.core.source import MAIN_METRIC
from edgeml.package.manifest import ArtifactRecord, Manifest

__all__ = ["package_html"]


def package_html(manifest: Manifest) -> str:
    """Return a table of the package's artifacts and refusals: size, parity, accuracy, latency, verdict."""
    metric = MAIN_METRIC.get(manifest.source.task or "", "")
    name = {"r2": "R²", "relative_mse": "relative MSE"}.get(metric, metric)
    rows = [_row(record, manifest, metric) for record in manifest.artifacts]
    rows += [[refused.recipe, *[""] * 5, "refused", refused.reason] for refused in manifest.refused]
    header = ["recipe", "kB", name, "drop", "SQNR, dB", "ms", "verdict", "reasons"]
    columns = [place for place in range(len(header)) if place == 0 or any(row[place] for row in rows)]
    data = manifest.data
    caption = (
        f"{manifest.name} {manifest.version}: {manifest.source.framework} {manifest.source.architecture}, judged on "
        f"{data.judged_samples:,} {data.judged_on} samples"
    )
    return html_table(
        caption, [header[place] for place in columns], [[row[place] for place in columns] for row in rows]
    )


def _row(record: ArtifactRecord, manifest: Manifest, metric: str) -> list[str]:
    evaluation, latency = record.evaluation, record.measurement
    value = getattr(evaluation.metrics, metric, None) if metric else None
    drop = evaluation.drop
    percent = metric in PERCENT_METRICS
    return [
        record.recipe,
        f"{manifest.files[record.file].size_bytes / 1000:,.1f}",
        "" if value is None else f"{value:.2%}" if percent else f"{value:.4g}",
        "" if drop is None else format_drop(drop.value, drop.metric, sign="+"),
        "" if evaluation.fidelity.float_sqnr_db is None else f"{evaluation.fidelity.sqnr_db:.1f}",
        "" if latency is None else f"{latency.median_ms:.3f}",
        record.verdict.status,
        "; ".join(record.verdict.reasons),
    ]
