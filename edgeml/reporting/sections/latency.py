"""Distributions of latency, including the tail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.records.benchmark_results import Measurement
from edgeml.reporting.charts import log_axis, tick_axis
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import (
    display_text,
    format_configuration,
    format_interval,
    format_ms,
    format_threads,
    latency_quantile,
    truncate,
)
from edgeml.reporting.inputs import Device, durations_ms
from edgeml.reporting.sections.by_device import section_by_device

__all__ = ["latency_section"]

_MAX_ROWS = 24
_QUANTILES = (0.5, 0.9, 0.95, 0.99)
_TICKS = ((0.5, "median"), (0.9, "90%"), (0.99, "99%"))
_BINS = 60
_TAIL = 0.995  # the slowest few would squeeze all others into a corner
_ROW = 26  # height in pixels


def latency_section(devices: Sequence[Device]) -> Section | None:
    """Return a chart for each device and scenario; queries of different scenarios are not comparable."""
    return section_by_device("latency", "Latency of a query", devices, _charts)


def _charts(device: Device, number: int) -> list[Chart]:
    by_scenario: dict[str, list[Measurement]] = {}
    for item in device.results.measurements:
        if item.latency and item.scenario != "offline":
            by_scenario.setdefault(item.scenario, []).append(item)
    return [
        _chart(device, f"{number}-{scenario}", scenario, measurements) for scenario, measurements in by_scenario.items()
    ]


def _chart(device: Device, key: str, scenario: str, measurements: list[Measurement]) -> Chart:
    measurements.sort(key=lambda item: (item.batch, item.target, item.threads or 0, _median_or_lowest(item)))
    kept, omitted = truncate(measurements, _MAX_ROWS)
    names, shared = _names(kept)
    best, worst = min(kept, key=_median_or_lowest), max(kept, key=_median_or_lowest)
    summary = (
        f"Latencies of {len(kept)} measurements, {scenario}: medians from {format_ms(_median_or_lowest(best))} ms "
        f"({best.artifact}) to {format_ms(_median_or_lowest(worst))} ms ({worst.artifact})."
    )
    columns = [Column("artifact", figures=False), Column("where", figures=False), Column("queries")]
    columns += [Column(name) for name in ("median, ms [95%]", "90%", "95%", "99%")]
    rows = tuple(
        (
            item.artifact,
            format_configuration(item, batch=item.batch > 1),
            f"{item.queries:,}",
            *(
                format_interval(figure) if (figure := latency_quantile(item, at)) is not None else "–"
                for at in _QUANTILES
            ),
        )
        for item in kept
    )
    return Chart(
        f"latency-{key}",
        ", ".join([f"On {display_text(device.name)}", scenario, *shared]),
        summary,
        lambda frame: _spec(kept, names, frame),
        Table("Quantiles of latency; a dash where the count does not support one", tuple(columns), rows, (), omitted),
        "The stronger the color, the more queries took so long; the marks are the median, the 90th and the 99th "
        "percentile, where the count supports them. The slowest 0.5% are not drawn."
        + (" ×2 are two threads." if len({item.threads for item in kept}) > 1 else "")
        + (" b8 is a batch of eight." if len({item.batch for item in kept}) > 1 else "")
        + (f" {omitted} more measurements are left out." if omitted else ""),
    )


def _median_or_lowest(measurement: Measurement) -> float:
    """Return the median in milliseconds; without one, the smallest quantile."""
    median = latency_quantile(measurement, 0.5)
    return median.value if median is not None else min(quantile.ms.value for quantile in measurement.latency)


def _names(kept: Sequence[Measurement]) -> tuple[list[str], list[str]]:
    """Return a name for each row with the settings that differ between rows, and the settings that all rows share."""
    settings = [
        ([display_text(item.target, 24) for item in kept], [f" {display_text(item.target, 12)}" for item in kept]),
        ([format_threads(item.threads) for item in kept], [f" ×{item.threads or 'default'}" for item in kept]),
        ([f"batch {item.batch}" for item in kept], [f" b{item.batch}" for item in kept]),
    ]
    names, shared = [item.artifact for item in kept], []
    for texts, suffixes in settings:
        if len(set(texts)) > 1:
            names = [name + suffix for name, suffix in zip(names, suffixes, strict=True)]
        elif texts[0] != "batch 1":
            shared.append(texts[0])
    return names, shared


def _spec(kept: Sequence[Measurement], names: Sequence[str], frame: Frame) -> Spec:
    cells, ticks, spans = [], [], []
    values: list[float] = []
    for row, (item, name) in enumerate(zip(kept, names, strict=True)):
        position = {"top": row + 0.14, "middle": row + 0.5, "bottom": row + 0.86}
        figures = [(label, figure) for q, label in _TICKS if (figure := latency_quantile(item, q)) is not None]
        values += [figure.value for _, figure in figures]
        for label, figure in figures:
            description = f"{name}: {label} {format_interval(figure)} ms"
            ticks.append({**position, "ms": figure.value, "which": label, "description": description})
        if item.times is not None:
            times = durations_ms(item.times)
            times = times[times > 0]
            if times.size:
                high = float(np.quantile(times, _TAIL, method="lower"))
                values += [float(times.min()), high]
                cells += _density(times[times <= high], position)
        elif len(figures) > 1:
            spans.append({**position, "low": figures[0][1].value, "high": figures[-1][1].value})
    longest = max(map(len, names))
    margin = min(165 if frame.narrow else 260, 8 + round(6.8 * longest))
    palette = frame.palette
    domain, axis_ticks = log_axis(values, values, 5 if frame.narrow else 9)
    scale = {"type": "log", "domain": domain, "nice": False}
    x = {"field": "ms", "type": "quantitative", "scale": scale, "title": "Latency, ms (logarithmic)",
         "axis": {**tick_axis(axis_ticks), "grid": True}}  # fmt: skip
    rows: Spec = {
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [0, len(kept)], "reverse": True, "nice": False},
    }
    labels = [{"row": row + 0.5, "name": name} for row, name in enumerate(names)]
    height = _ROW * len(kept)
    return {
        "width": frame.width - margin - 16,
        "height": height,
        "layer": [
            {
                "data": {"values": labels},
                "mark": {"type": "text", "align": "right", "baseline": "middle", "aria": False, "color": palette.ink,
                         "limit": margin - 6},
                "encoding": {"x": {"value": -8}, "y": {"field": "row", **rows}, "text": {"field": "name"}},
            },
            {
                "data": {"values": cells},
                "mark": {"type": "rect", "color": palette.series[0], "aria": False},
                "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"},
                             "y": {"field": "top", **rows}, "y2": {"field": "bottom"},
                             "fillOpacity": {"field": "share", "type": "quantitative", "scale": None, "legend": None}},
            },
            {
                "data": {"values": spans},
                "mark": {"type": "rule", "color": palette.series[0], "strokeWidth": 3, "opacity": 0.4, "aria": False},
                "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": {"field": "middle", **rows}},
            },
            {
                "data": {"values": ticks},
                "mark": {"type": "rule", "strokeWidth": 2.5},
                "encoding": {
                    "x": x, "y": {"field": "top", **rows}, "y2": {"field": "bottom"},
                    "color": {"field": "which", "type": "nominal", "title": None,
                              "sort": [label for _, label in _TICKS],
                              "scale": {"domain": [label for _, label in _TICKS],
                                        "range": [palette.ink, palette.series[1], palette.series[3]]},
                              "legend": {"symbolType": "stroke"}},
                    "description": {"field": "description"},
                },
            },
        ],
    }  # fmt: skip


def _density(times: np.ndarray, position: dict[str, float]) -> list[dict[str, float]]:
    """Return bins of equal ratio, each with its share of the fullest one."""
    low, high = float(times.min()), float(times.max())
    edges = np.geomspace(low, high if high > low else low * 1.001, _BINS + 1)
    counts, _ = np.histogram(times, edges)
    # The square root keeps the tail visible next to the bulk.
    shares = np.sqrt(counts / max(1, counts.max()))
    return [
        {**position, "low": float(edges[i]), "high": float(edges[i + 1]), "share": round(float(share), 3)}
        for i, share in enumerate(shares)
        if share
    ]
