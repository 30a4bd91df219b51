"""How many samples a second, over batch sizes and threads."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.core.records.benchmark_results import Measurement
from edgeml.reporting.charts import PLAIN, SHORT, log_axis, ticked
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import bounded_above_0, configuration, first, interval, rate, shown, threads_text
from edgeml.reporting.inputs import Device
from edgeml.reporting.sections.by_device import section_by_device

__all__ = ["throughput_section"]

_MOST_PANELS, _MOST_SERIES, _MOST_ROWS = 12, 8, 60


def throughput_section(devices: Sequence[Device]) -> Section | None:
    """A chart for each device that measured throughput."""
    return section_by_device("throughput", "Throughput", devices, _charts)


def _charts(device: Device, number: int) -> list[Chart]:
    found = [one for one in device.results.measurements if one.throughput is not None and one.scenario == "offline"]
    if not found:
        return []
    panels, panels_left_out = first(list(dict.fromkeys((one.artifact, one.target) for one in found)), _MOST_PANELS)
    series, series_left_out = first(sorted({one.threads or 0 for one in found}), _MOST_SERIES)
    kept = [one for one in found if (one.artifact, one.target) in panels and (one.threads or 0) in series]
    kept.sort(key=lambda one: (panels.index((one.artifact, one.target)), one.threads or 0, one.batch))
    best = max(kept, key=lambda one: one.throughput.value if one.throughput else 0.0)
    assert best.throughput is not None
    summary = (
        f"Samples a second of {len(panels)} artifacts; the most are {rate(best.throughput.value)} by {best.artifact}, "
        f"{configuration(best, batch=True)}."
    )
    told, rows_left_out = first(kept, _MOST_ROWS)
    rows = tuple(
        (one.artifact, configuration(one), str(one.batch), interval(one.throughput, rate) if one.throughput else "–")
        for one in told
    )
    columns = (
        Column("artifact", figures=False),
        Column("where", figures=False),
        Column("batch"),
        Column("samples/s [95%]"),
    )
    over_batches = len({(one.artifact, one.target, one.threads) for one in kept}) < len(
        {(one.artifact, one.target, one.threads, one.batch) for one in kept}
    )
    missing = [
        f"{count} more {what} are left out."
        for count, what in ((panels_left_out, "artifacts"), (series_left_out, "numbers of threads"))
        if count
    ]
    chart = Chart(
        f"throughput-{number}",
        f"Samples a second on {shown(device.name)}",
        summary,
        lambda frame: (_curves if over_batches else _dots)(kept, panels, frame),
        Table("Throughput of the offline scenario", columns, rows, (), rows_left_out),
        " ".join(missing),
    )
    return [chart]


def _values(kept: Sequence[Measurement]) -> list[dict[str, object]]:
    several = len({one.target for one in kept}) > 1
    values: list[dict[str, object]] = []
    for one in kept:
        assert one.throughput is not None
        low, high = bounded_above_0(one.throughput)
        panel = f"{one.artifact}, {shown(one.target, 24)}" if several else one.artifact
        values.append(
            {
                "panel": panel, "batch": one.batch, "threads": threads_text(one.threads),
                "rate": one.throughput.value, "low": low, "high": high,
                "told": f"{panel}, {configuration(one, batch=True)}: {interval(one.throughput, rate)} samples a second",
            }
        )  # fmt: skip
    return values


def _rates(kept: Sequence[Measurement], most: int) -> tuple[list[float], list[float]]:
    ends = [bounded_above_0(one.throughput) for one in kept if one.throughput is not None]
    return log_axis([low for low, _ in ends], [high for _, high in ends], most)


def _colour(values: Sequence[dict[str, object]]) -> Spec:
    return {"field": "threads", "type": "nominal", "title": None,
            "sort": list(dict.fromkeys(str(value["threads"]) for value in values))}  # fmt: skip


def _curves(kept: Sequence[Measurement], panels: Sequence[object], frame: Frame) -> Spec:
    """A small chart for each artifact, all on the same scales."""
    values = _values(kept)
    columns = min(len(panels), 2 if frame.narrow else 3)
    batches = sorted({one.batch for one in kept})
    width = (frame.width - 70) // columns - 22
    x = {"field": "batch", "type": "quantitative", "title": "Batch", "scale": {"type": "log", "base": 2, "nice": False},
         "axis": {"values": batches[:: max(1, len(batches) // 4)], "labelExpr": PLAIN, "grid": False}}  # fmt: skip
    domain, ticks = _rates(kept, 4)
    y = {"type": "quantitative", "title": None, "scale": {"type": "log", "domain": domain, "nice": False},
         "axis": ticked(ticks, SHORT)}  # fmt: skip
    colour = _colour(values)
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
                 "encoding": {"x": x, "y": {**y, "field": "rate"}, "color": colour}},
                {"mark": {"type": "rule", "strokeWidth": 1.5, "aria": False},
                 "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour}},
                {"mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
                 "encoding": {"x": x, "y": {**y, "field": "rate"}, "color": colour, "description": {"field": "told"}}},
            ],
        },
    }  # fmt: skip


def _dots(kept: Sequence[Measurement], panels: Sequence[object], frame: Frame) -> Spec:
    """A row for each artifact, where each has one batch size alone."""
    values = _values(kept)
    y = {"field": "panel", "type": "nominal", "title": None, "axis": {"labelLimit": 150, "grid": True},
         "sort": list(dict.fromkeys(str(value["panel"]) for value in values))}  # fmt: skip
    alike = f", batch {kept[0].batch}" if len({one.batch for one in kept}) == 1 else ""
    title = f"Samples a second{alike} (logarithmic)"
    domain, ticks = _rates(kept, 4 if frame.narrow else 6)
    x = {"type": "quantitative", "title": title, "scale": {"type": "log", "domain": domain, "nice": False},
         "axis": {**ticked(ticks, SHORT), "grid": False}}  # fmt: skip
    colour = _colour(values)
    return {
        "width": frame.width - 130,
        "height": 26 * len(panels),
        "data": {"values": values},
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 2, "aria": False, "opacity": 0.6},
             "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour}},
            {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
             "encoding": {"y": y, "x": {**x, "field": "rate"}, "color": colour, "description": {"field": "told"}}},
        ],
    }  # fmt: skip
