"""Loss of artifacts against their cost, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgeml.core.recipe import find_recipe
from edgeml.core.records.benchmark_results import Figure
from edgeml.core.records.evidence import PERCENT_METRICS, Drop
from edgeml.package.manifest import ArtifactRecord, Manifest
from edgeml.reporting.charts import PLAIN, log_axis, pad_range, tick_axis
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import (
    display_text,
    drop_axis_title,
    format_db,
    format_drop,
    format_interval,
    format_kb,
    format_ms,
    interval_bounds,
    positive_bounds,
    truncate,
)
from edgeml.reporting.label_placement import Box, place_labels
from edgeml.reporting.speeds import Speed

__all__ = ["pareto_front", "tradeoff_chart", "tradeoff_section"]

_MAX_MACHINES = 6
_COMPACT = "abs(datum.value) < 1e4 ? datum.label : format(datum.value, '~s')"  # the axis has room for 7 characters
_LOG_RATIO = 4  # ratio of the largest to the smallest cost from which the axis is logarithmic
# Minimum span of the loss axis, in its unit: a smaller one would magnify differences below the texts' resolution.
_MIN_SPAN = {**dict.fromkeys(PERCENT_METRICS, 0.2), "r2": 0.002, "relative_mse": 0.002, "auc": 0.002, "SQNR": 1.0}
_MIN_AREA, _AREA, _NARROW_AREA = 50.0, 1100.0, 600.0  # in square pixels; the last two of the largest artifact
_FORMATS = (("tflite", "circle"), ("onnx", "diamond"))


@dataclass(frozen=True, slots=True)
class _Point:
    """An artifact in the chart.

    Attributes:
        recipe: Recipe of the artifact.
        x: Cost: latency in milliseconds, or size in kB.
        y: Loss in the unit of the axis, or SQNR in dB, or percent of integers that equal the source's.
        size_bytes: Size of the file.
        released: Whether the artifact is released.
        drop: Drop in the main metric; None if `y` is a figure of fidelity.
        description: Text for screen readers.
    """

    recipe: str
    x: Figure
    y: Figure
    size_bytes: int
    released: bool
    drop: Drop | None
    description: str


@dataclass(frozen=True, slots=True)
class _Axis:
    title: str
    low: float
    high: float
    ticks: Sequence[float] = ()  # empty for a linear axis

    def pixel(self, value: float, length: float) -> float:
        low, high, at = (math.log(v) if self.ticks else v for v in (self.low, self.high, value))
        return length * (at - low) / (high - low)


def tradeoff_section(manifest: Manifest, speeds: dict[str, dict[str, Speed]]) -> Section | None:
    """Return a chart for each machine, or one of loss against size if latency was not measured."""
    machines, omitted = truncate(list(speeds.items()), _MAX_MACHINES)
    charts = [
        tradeoff_chart(manifest, machine_speeds, machine, index)
        for index, (machine, machine_speeds) in enumerate(machines)
    ]
    if not machines:
        charts = [tradeoff_chart(manifest, {}, "", 0)]
    parts: list[Chart | str] = [chart for chart in charts if chart is not None]
    if not parts:
        return None
    if omitted:
        parts.append(f"{omitted} more machines are left out here; the table of devices has them.")
    return Section("tradeoff", "What is lost, and what it costs", tuple(parts))


def tradeoff_chart(manifest: Manifest, speeds: dict[str, Speed], machine: str, number: int) -> Chart | None:
    """Return loss against latency of the measured artifacts, or against size; None without artifacts."""
    records = [record for record in manifest.artifacts if not speeds or record.recipe in speeds]
    if not records:
        return None
    metrics = {getattr(record.evaluation.drop, "metric", None) for record in records}
    has_drops = len(metrics) == 1 and metrics != {None}  # of several outputs the worst ones may differ in metric
    points = [_point(manifest, record, speeds, has_drops=has_drops) for record in records]
    points.sort(key=lambda point: -point.size_bytes)  # small marks stand on large ones
    best_points = pareto_front(points)
    names = [point.recipe for point in best_points]
    cost = "median latency" if speeds else "size"
    drop = points[0].drop
    only_integers = records[0].evaluation.fidelity.only_integers
    figure = "equal integers, %" if only_integers else "SQNR, dB"
    loss_title = drop_axis_title(drop.metric) if drop is not None else f"{figure} (higher is better)"
    summary = (
        f"{'Loss' if has_drops else 'Fidelity'} against {cost} of {len(points)} artifacts. "
        f"On the Pareto front: {', '.join(names) or 'none, since none is released'}."
    )
    cells: dict[Column, list[str]] = {
        Column("artifact", figures=False): [point.recipe for point in points],
        Column(loss_title): [
            format_drop(point.drop) if point.drop is not None else format_db(point.y.value) for point in points
        ],
    }
    if speeds:
        cells[Column("latency, ms")] = [format_interval(point.x) for point in points]
    cells[Column("kB")] = [format_kb(point.size_bytes) for point in points]
    rows = tuple(zip(*cells.values(), strict=True))
    return Chart(
        f"tradeoff-{number}",
        f"On {display_text(machine)}" if speeds else "By size: latency was not measured",
        summary,
        lambda frame: _spec(points, best_points, frame, loss_title, has_latency=bool(speeds)),
        Table("Loss and cost", tuple(cells), rows, tuple("best" if row[0] in names else "" for row in rows)),
        "The line is the Pareto front: no artifact is better in both than one on it. The area of a mark is the "
        "artifact's size; a hollow one was rejected.",
    )


def pareto_front(points: Sequence[_Point]) -> list[_Point]:
    """Return the released artifacts that no other dominates in loss and cost, by rising cost."""
    best_points: list[_Point] = []
    for point in sorted(points, key=lambda point: (point.x.value, _loss(point))):
        if point.released and (not best_points or _loss(point) < _loss(best_points[-1])):
            best_points.append(point)
    return best_points


def _loss(point: _Point) -> float:
    return point.y.value if point.drop is not None else -point.y.value  # higher fidelity is better


def _point(manifest: Manifest, record: ArtifactRecord, speeds: dict[str, Speed], *, has_drops: bool) -> _Point:
    size_bytes = manifest.files[record.file].size_bytes
    drop, fidelity = record.evaluation.drop if has_drops else None, record.evaluation.fidelity
    closeness, closeness_text = fidelity.sqnr_db, f"SQNR {format_db(fidelity.sqnr_db)} dB"
    if fidelity.only_integers and fidelity.equal is not None:
        closeness, closeness_text = 100 * fidelity.equal, f"{fidelity.equal:.1%} of integers equal"
    factor = 100.0 if drop is not None and drop.metric in PERCENT_METRICS else 1.0
    speed = speeds.get(record.recipe)
    description = [record.recipe, closeness_text if drop is None else f"{format_drop(drop)} lost"]
    description += [f"{format_ms(speed.median.value)} ms"] if speed is not None else []
    description += [f"{format_kb(size_bytes)} kB", record.verdict.status]
    return _Point(
        record.recipe,
        Figure(size_bytes / 1000) if speed is None else speed.median,
        Figure(closeness) if drop is None else Figure(factor * drop.value, factor * drop.low, factor * drop.high),
        size_bytes,
        record.verdict.released,
        drop,
        ", ".join(description),
    )


def _spec(points: list[_Point], best_points: list[_Point], frame: Frame, loss_title: str, *, has_latency: bool) -> Spec:
    palette = frame.palette
    width, height = frame.width - 68, 300 if frame.narrow else 360
    x, y = _axes(points, loss_title, 4 if frame.narrow else 7, has_latency=has_latency)
    max_size = max(point.size_bytes for point in points)
    max_area = _NARROW_AREA if frame.narrow else _AREA
    areas = [max(_MIN_AREA, max_area * point.size_bytes / max_size) for point in points]
    marks = [
        (x.pixel(point.x.value, width), height - y.pixel(point.y.value, height), math.sqrt(area / math.pi))
        for point, area in zip(points, areas, strict=True)
    ]
    # The front starts at the edge of the worst losses, steps down from point to point, and ends at the edge of cost.
    top = y.high if points[0].drop is not None else y.low
    steps = [{"x": point.x.value, "y": point.y.value} for point in best_points]
    if steps:
        steps = [{"x": steps[0]["x"], "y": top}, *steps, {"x": x.high, "y": steps[-1]["y"]}]
    corners = [(x.pixel(step["x"], width), height - y.pixel(step["y"], height)) for step in steps]
    lines = [box for start, end in pairwise(corners) for box in _boxes(start, end)]
    labels = place_labels(marks, [point.recipe for point in points], width, height, lines)
    formats = {point.recipe: find_recipe(point.recipe).format for point in points}
    values = [
        {
            "x": point.x.value, "low": positive_bounds(point.x)[0], "high": positive_bounds(point.x)[1],
            "y": point.y.value, "y_low": interval_bounds(point.y)[0], "y_high": interval_bounds(point.y)[1],
            "area": area, "format": formats[point.recipe], "solid": 0.85 if point.released else 0.0,
            "description": point.description,
        }
        for point, area in zip(points, areas, strict=True)
    ]  # fmt: skip
    label_values = [
        {"name": point.recipe, "at": label.x, "side": label.side, "center": label.center, "middle": label.middle,
         "right": spot[0], "to": spot[1], "needs_line": label.needs_line}
        for point, label, spot in zip(points, labels, marks, strict=True)
    ]  # fmt: skip
    lines_needed = [name for name in label_values if name["needs_line"]]
    present = [pair for pair in _FORMATS if pair[0] in formats.values()]
    color = {
        "field": "format", "type": "nominal", "title": None, "sort": [name for name, _ in present],
        "scale": {"domain": [name for name, _ in present], "range": list(palette.series[: len(present)])},
    }  # fmt: skip
    x_scale: Spec = {"type": "log" if x.ticks else "linear", "domain": [x.low, x.high], "nice": False, "zero": False}
    position = {
        "x": {"field": "x", "type": "quantitative", "title": x.title, "scale": x_scale,
              "axis": {"grid": False, **(tick_axis(x.ticks) if x.ticks else {"tickCount": 5, "labelExpr": PLAIN})}},
        "y": {"field": "y", "type": "quantitative", "title": y.title,
              "scale": {"domain": [y.low, y.high], "nice": False, "zero": False},
              "axis": {"minExtent": 40, "maxExtent": 40, "tickCount": 6, "labelExpr": _COMPACT}},
    }  # fmt: skip
    pixels = {"scale": None, "axis": None, "type": "quantitative"}
    return {
        "width": width,
        "height": height,
        "layer": [
            {
                "data": {"values": steps},
                "mark": {"type": "line", "interpolate": "step-after", "color": palette.muted, "strokeDash": [5, 4],
                         "strokeWidth": 1.5, "aria": False},
                "encoding": position,
            },
            {
                "data": {"values": values},
                "mark": {"type": "rule", "strokeWidth": 1.25, "opacity": 0.45, "aria": False},
                "encoding": {"x": position["x"], "y": {**position["y"], "field": "y_low"}, "y2": {"field": "y_high"},
                             "color": color},
            },
            {
                "data": {"values": values},
                "mark": {"type": "rule", "strokeWidth": 1.25, "opacity": 0.45, "aria": False},
                "encoding": {"y": position["y"], "x": {**position["x"], "field": "low"}, "x2": {"field": "high"},
                             "color": color},
            },
            {
                "data": {"values": lines_needed},
                "mark": {"type": "rule", "color": palette.muted, "strokeWidth": 0.75, "opacity": 0.7, "aria": False},
                "encoding": {"x": {"field": "center", **pixels}, "x2": {"field": "right"},
                             "y": {"field": "middle", **pixels}, "y2": {"field": "to"}},
            },
            {
                "data": {"values": values},
                "mark": {"type": "point", "filled": True, "opacity": 1, "strokeWidth": 1.5},
                "encoding": {
                    **position,
                    "color": color,
                    "stroke": {**color, "legend": None},
                    "shape": {**color, "scale": {"domain": [n for n, _ in present], "range": [s for _, s in present]}},
                    "size": {"field": "area", "type": "quantitative", "scale": None, "legend": None},
                    "fillOpacity": {"field": "solid", "type": "quantitative", "scale": None, "legend": None},
                    "description": {"field": "description"},
                },
            },
            *(
                {
                    "data": {"values": label_values},
                    "mark": {"type": "text", "align": {"expr": "datum.side"}, "baseline": "middle", "fontSize": 12,
                             "aria": False, **look},
                    "encoding": {"x": {"field": "at", **pixels}, "y": {"field": "middle", **pixels},
                                 "text": {"field": "name"}},
                }
                # A background first, so that no line runs through the letters.
                for look in ({"stroke": palette.paper, "strokeWidth": 4, "strokeJoin": "round"}, {"color": palette.ink})
            ),
        ],
    }  # fmt: skip


def _boxes(start: tuple[float, float], end: tuple[float, float]) -> tuple[Box, Box]:
    """Return boxes around a step of the front: to the right, then down."""
    (left, top), (right, bottom) = start, end
    return (left, top - 1, right, top + 1), (right - 1, top, right + 1, bottom)


def _axes(points: list[_Point], loss_title: str, max_ticks: int, *, has_latency: bool) -> tuple[_Axis, _Axis]:
    lows, highs = zip(*(positive_bounds(point.x) for point in points), strict=True)
    ends = [end for point in points for end in interval_bounds(point.y)]
    cost = "Median latency of one sample, ms" if has_latency else "Size, kB"
    drop = points[0].drop
    min_span = _MIN_SPAN["SQNR" if drop is None else drop.metric]
    padding = max(0.0, min_span - (max(ends) - min(ends))) / 2
    y = _Axis(loss_title, *pad_range(min(ends) - padding, max(ends) + padding, 0.12))
    if min(lows) > 0 and max(highs) > _LOG_RATIO * min(lows):
        (low, high), ticks = log_axis(lows, highs, max_ticks, padding=0.16)
        return _Axis(f"{cost} (logarithmic)", low, high, ticks), y
    return _Axis(cost, *pad_range(min(lows), max(highs), 0.2)), y
