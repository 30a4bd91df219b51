"""Throughput by batch size and threads."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.core.records.benchmark_results import Measurement
from edgeml.reporting.charts import PLAIN, SHORT, log_axis, tick_axis
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import (
    display_text,
    format_configuration,
    format_interval,
    format_rate,
    format_threads,
    positive_bounds,
    truncate,
)
from edgeml.reporting.inputs import Device
from edgeml.reporting.sections.by_device import section_by_device

__all__ = ["throughput_section"]

_MAX_PANELS, _MAX_SERIES, _MAX_ROWS = 12, 8, 60


def throughput_section(devices: Sequence[Device]) -> Section | None:
    """Return a chart for each device that measured throughput."""
    return section_by_device("throughput", "Throughput", devices, _charts)


def _charts(device: Device, number: int) -> list[Chart]:
    measurements = [
        item for item in device.results.measurements if item.throughput is not None and item.scenario == "offline"
    ]
    if not measurements:
        return []
    panels, panels_omitted = truncate(
        list(dict.fromkeys((item.artifact, item.target) for item in measurements)), _MAX_PANELS
    )
    series, series_omitted = truncate(sorted({item.threads or 0 for item in measurements}), _MAX_SERIES)
    kept = [item for item in measurements if (item.artifact, item.target) in panels and (item.threads or 0) in series]
    kept.sort(key=lambda item: (panels.index((item.artifact, item.target)), item.threads or 0, item.batch))
    best = max(kept, key=lambda item: item.throughput.value if item.throughput else 0.0)
    assert best.throughput is not None
    summary = (
        f"Samples a second of {len(panels)} artifacts; the most are {format_rate(best.throughput.value)} by "
        f"{best.artifact}, {format_configuration(best, batch=True)}."
    )
    shown, rows_omitted = truncate(kept, _MAX_ROWS)
    rows = tuple(
        (
            item.artifact,
            format_configuration(item),
            str(item.batch),
            format_interval(item.throughput, format_rate) if item.throughput else "–",
        )
        for item in shown
    )
    columns = (
        Column("artifact", figures=False),
        Column("where", figures=False),
        Column("batch"),
        Column("samples/s [95%]"),
    )
    over_batches = len({(item.artifact, item.target, item.threads) for item in kept}) < len(
        {(item.artifact, item.target, item.threads, item.batch) for item in kept}
    )
    missing = [
        f"{count} more {what} are left out."
        for count, what in ((panels_omitted, "artifacts"), (series_omitted, "numbers of threads"))
        if count
    ]
    chart = Chart(
        f"throughput-{number}",
        f"Samples a second on {display_text(device.name)}",
        summary,
        lambda frame: (_curves if over_batches else _dots)(kept, panels, frame),
        Table("Throughput of the offline scenario", columns, rows, (), rows_omitted),
        " ".join(missing),
    )
    return [chart]


def _values(kept: Sequence[Measurement]) -> list[dict[str, object]]:
    several_targets = len({item.target for item in kept}) > 1
    values: list[dict[str, object]] = []
    for item in kept:
        assert item.throughput is not None
        low, high = positive_bounds(item.throughput)
        panel = f"{item.artifact}, {display_text(item.target, 24)}" if several_targets else item.artifact
        values.append(
            {
                "panel": panel, "batch": item.batch, "threads": format_threads(item.threads),
                "rate": item.throughput.value, "low": low, "high": high,
                "description": f"{panel}, {format_configuration(item, batch=True)}: "
                f"{format_interval(item.throughput, format_rate)} samples a second",
            }
        )  # fmt: skip
    return values


def _rates(kept: Sequence[Measurement], max_ticks: int) -> tuple[list[float], list[float]]:
    ends = [positive_bounds(item.throughput) for item in kept if item.throughput is not None]
    return log_axis([low for low, _ in ends], [high for _, high in ends], max_ticks)


def _color_scale(values: Sequence[dict[str, object]]) -> Spec:
    return {"field": "threads", "type": "nominal", "title": None,
            "sort": list(dict.fromkeys(str(value["threads"]) for value in values))}  # fmt: skip


def _curves(kept: Sequence[Measurement], panels: Sequence[object], frame: Frame) -> Spec:
    """Return a small chart per artifact, all on the same scales."""
    values = _values(kept)
    columns = min(len(panels), 2 if frame.narrow else 3)
    batches = sorted({item.batch for item in kept})
    width = (frame.width - 70) // columns - 22
    x = {"field": "batch", "type": "quantitative", "title": "Batch", "scale": {"type": "log", "base": 2, "nice": False},
         "axis": {"values": batches[:: max(1, len(batches) // 4)], "labelExpr": PLAIN, "grid": False}}  # fmt: skip
    domain, ticks = _rates(kept, 4)
    y = {"type": "quantitative", "title": None, "scale": {"type": "log", "domain": domain, "nice": False},
         "axis": tick_axis(ticks, SHORT)}  # fmt: skip
    color = _color_scale(values)
    return {
        "data": {"values": values},
        "facet": {"field": "panel", "type": "nominal", "title": None,
                  "sort": list(dict.fromkeys(str(value["panel"]) for value in values))},
        "columns": columns,
        "spacing": {"row": 18, "column": 22},
        "spec": {
            "width": width,
            "height": 110 if frame.narrow else 130,
            "layer": [
                {"mark": {"type": "line", "strokeWidth": 2, "aria": False},
                 "encoding": {"x": x, "y": {**y, "field": "rate"}, "color": color}},
                {"mark": {"type": "rule", "strokeWidth": 1.5, "aria": False},
                 "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": color}},
                {"mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
                 "encoding": {"x": x, "y": {**y, "field": "rate"}, "color": color,
                              "description": {"field": "description"}}},
            ],
        },
    }  # fmt: skip


def _dots(kept: Sequence[Measurement], panels: Sequence[object], frame: Frame) -> Spec:
    """Return a chart with a row per artifact, for artifacts with a single batch size."""
    values = _values(kept)
    y = {"field": "panel", "type": "nominal", "title": None, "axis": {"labelLimit": 150, "grid": True},
         "sort": list(dict.fromkeys(str(value["panel"]) for value in values))}  # fmt: skip
    batch_text = f", batch {kept[0].batch}" if len({item.batch for item in kept}) == 1 else ""
    title = f"Samples a second{batch_text} (logarithmic)"
    domain, ticks = _rates(kept, 4 if frame.narrow else 6)
    x = {"type": "quantitative", "title": title, "scale": {"type": "log", "domain": domain, "nice": False},
         "axis": {**tick_axis(ticks, SHORT), "grid": False}}  # fmt: skip
    color = _color_scale(values)
    return {
        "width": frame.width - 130,
        "height": 26 * len(panels),
        "data": {"values": values},
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 2, "aria": False, "opacity": 0.6},
             "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": color}},
            {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
             "encoding": {"y": y, "x": {**x, "field": "rate"}, "color": color,
                          "description": {"field": "description"}}},
        ],
    }  # fmt: skip
