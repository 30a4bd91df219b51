"""Sentences about a package's manifest: rejections, refusals and the limits of the proof."""

from __future__ import annotations

from collections.abc import Callable

from edgeml.core.records.evidence import METRIC_NAMES, PERCENT_METRICS, Metrics
from edgeml.core.source import MAIN_METRIC
from edgeml.package.manifest import Manifest

__all__ = ["manifest_remarks"]

_MOST_REASON, _MOST_FIX = 300, 200
_MOST_OUTPUTS = 20


def manifest_remarks(manifest: Manifest, shown: Callable[[str, int], str] = lambda text, _: text) -> list[str]:
    """List why artifacts were rejected and recipes refused, and what limits the proof of the rest.

    Args:
        manifest: The manifest of a package.
        shown: Function that escapes a text from the package and cuts it to a number of characters.
    """
    records, data = manifest.artifacts, manifest.data
    lines = [
        f"{record.recipe} is rejected: {shown('; '.join(record.verdict.reasons), _MOST_REASON)}."
        for record in records
        if not record.verdict.released
    ]
    for refused in manifest.refused:
        fix = f" Fix: {shown(refused.fix, _MOST_FIX)}" if refused.fix else ""
        lines.append(f"{shown(refused.recipe, _MOST_FIX)} is refused: {shown(refused.reason, _MOST_REASON)}{fix}")
    remarks: dict[str, list[str]] = {}
    for record in records:
        for remark in record.verdict.remarks:
            remarks.setdefault(remark, []).append(record.recipe)
    for remark, recipes in remarks.items():
        who = "All artifacts" if len(recipes) == len(records) else ", ".join(recipes)
        lines.append(f"{who}: {shown(remark, _MOST_REASON)}.")
    lines += _output_lines(manifest, shown)
    if data.overlap:
        lines.append(
            f"{data.overlap:,} of the {data.judged_samples:,} evaluation samples are calibration samples too: the "
            "figures of the quantized artifacts are too good."
        )
    return lines


def _output_lines(manifest: Manifest, shown: Callable[[str, int], str]) -> list[str]:
    """List the main metric of each output, of a model with several."""
    lines = []
    for name in list(manifest.source.heads)[:_MOST_OUTPUTS]:
        figures = {
            record.recipe: record.evaluation.outputs[name]
            for record in manifest.artifacts
            if name in record.evaluation.outputs
        }
        metric = MAIN_METRIC.get(manifest.source.heads[name].task or "")
        if not figures or metric is None:
            continue
        first = next(iter(figures.values()))
        values = [f"{recipe} {_figure(each.metrics, metric)}" for recipe, each in figures.items()]
        lines.append(
            f"'{shown(name, _MOST_FIX)}', {METRIC_NAMES[metric]}: source {_figure(first.source_metrics, metric)}, "
            f"{', '.join(values)}."
        )
    return lines


def _figure(metrics: Metrics | None, name: str) -> str:
    value = getattr(metrics, name, None)
    if value is None:
        return "not defined"
    return f"{value:.1%}" if name in PERCENT_METRICS else f"{value:.4f}"
