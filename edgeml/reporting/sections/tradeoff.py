"""What an artifact loses against what it costs, with the front of those that none beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgeml.core.recipe import find_recipe
from edgeml.core.records.benchmark_results import Figure
from edgeml.core.records.evidence import Drop
from edgeml.package.manifest import ArtifactRecord, Manifest
from edgeml.reporting.charts import PLAIN, log_axis, spaced, ticked
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import (
    bounded,
    bounded_above_0,
    decibels,
    drop_text,
    first,
    interval,
    kilobytes,
    milliseconds,
    shown,
    unit_of_drop,
)
from edgeml.reporting.label_placement import Box, placed
from edgeml.reporting.speeds import Speed

__all__ = ["front", "tradeoff_chart", "tradeoff_section"]

_MOST_MACHINES = 6
_BRIEF = "abs(datum.value) < 1e4 ? datum.label : format(datum.value, '~s')"  # the axis has room for seven letters
_LOG_FROM = 4  # where the largest is so many times the smallest
# Of the axis of losses, in its units: differences that no text tells would fill a smaller one.
_LEAST_SPAN = {"accuracy": 0.2, "r2": 0.002, "relative_mse": 0.002, "SQNR": 1.0}
_LEAST_AREA, _AREA, _NARROW_AREA = 50.0, 1100.0, 600.0  # in square pixels, the latter of the largest artifact
_FORMATS = (("tflite", "circle"), ("onnx", "diamond"))


@dataclass(frozen=True, slots=True)
class _Point:
    """An artifact: `x` is what it costs, `y` what it loses, or its SQNR."""

    recipe: str
    x: Figure
    y: Figure
    size_bytes: int
    released: bool
    drop: Drop | None
    told: str


@dataclass(frozen=True, slots=True)
class _Axis:
    title: str
    low: float
    high: float
    ticks: Sequence[float] = ()  # of a logarithmic one

    def pixel(self, value: float, length: float) -> float:
        low, high, at = (math.log(v) if self.ticks else v for v in (self.low, self.high, value))
        return length * (at - low) / (high - low)


def tradeoff_section(manifest: Manifest, speeds: dict[str, dict[str, Speed]]) -> Section | None:
    """A chart for each machine, or one of loss against size where latency was not measured."""
    machines, left_out = first(list(speeds.items()), _MOST_MACHINES)
    charts = [tradeoff_chart(manifest, found, machine, i) for i, (machine, found) in enumerate(machines)]
    if not machines:
        charts = [tradeoff_chart(manifest, {}, "", 0)]
    parts: list[Chart | str] = [chart for chart in charts if chart is not None]
    if not parts:
        return None
    if left_out:
        parts.append(f"{left_out} more machines are left out here; the table of devices has them.")
    return Section("tradeoff", "What is lost, and what it costs", tuple(parts))


def tradeoff_chart(manifest: Manifest, speeds: dict[str, Speed], machine: str, number: int) -> Chart | None:
    """Loss against latency of those that were measured, or against size; None where there are none."""
    records = [record for record in manifest.artifacts if not speeds or record.recipe in speeds]
    if not records:
        return None
    dropped = all(record.evaluation.drop is not None for record in records)
    points = [_point(manifest, record, speeds, dropped=dropped) for record in records]
    points.sort(key=lambda point: -point.size_bytes)  # small marks stand on large ones
    ahead = front(points)
    names = [point.recipe for point in ahead]
    cost = "median latency" if speeds else "size"
    drop = points[0].drop
    lost = unit_of_drop(drop.metric) if drop is not None else "SQNR, dB (higher is better)"
    summary = (
        f"{'Loss' if dropped else 'Fidelity'} against {cost} of {len(points)} artifacts. "
        f"On the Pareto front: {', '.join(names) or 'none, since none is released'}."
    )
    cells: dict[Column, list[str]] = {
        Column("artifact", figures=False): [point.recipe for point in points],
        Column(lost): [
            drop_text(point.drop) if point.drop is not None else decibels(point.y.value) for point in points
        ],
    }
    if speeds:
        cells[Column("latency, ms")] = [interval(point.x) for point in points]
    cells[Column("kB")] = [kilobytes(point.size_bytes) for point in points]
    rows = tuple(zip(*cells.values(), strict=True))
    return Chart(
        f"tradeoff-{number}",
        f"On {shown(machine)}" if speeds else "By size: latency was not measured",
        summary,
        lambda frame: _spec(points, ahead, frame, lost, timed=bool(speeds)),
        Table("Loss and cost", tuple(cells), rows, tuple("best" if row[0] in names else "" for row in rows)),
        "The line is the Pareto front: no artifact is better in both than one on it. The area of a mark is the "
        "artifact's size; a hollow one was rejected.",
    )


def front(points: Sequence[_Point]) -> list[_Point]:
    """The released ones that no other is at least as good as in both, and better in one; by rising cost."""
    found: list[_Point] = []
    for point in sorted(points, key=lambda point: (point.x.value, _worse(point))):
        if point.released and (not found or _worse(point) < _worse(found[-1])):
            found.append(point)
    return found


def _worse(point: _Point) -> float:
    return point.y.value if point.drop is not None else -point.y.value  # SQNR is better the higher it is


def _point(manifest: Manifest, record: ArtifactRecord, speeds: dict[str, Speed], *, dropped: bool) -> _Point:
    size_bytes = manifest.files[record.file].size_bytes
    drop, sqnr_db = record.evaluation.drop if dropped else None, record.evaluation.fidelity.sqnr_db
    factor = 100.0 if drop is not None and drop.metric == "accuracy" else 1.0
    speed = speeds.get(record.recipe)
    told = [record.recipe, f"SQNR {decibels(sqnr_db)} dB" if drop is None else f"{drop_text(drop)} lost"]
    told += [f"{milliseconds(speed.median.value)} ms"] if speed is not None else []
    told += [f"{kilobytes(size_bytes)} kB", record.verdict.status]
    return _Point(
        record.recipe,
        Figure(size_bytes / 1000) if speed is None else speed.median,
        Figure(sqnr_db) if drop is None else Figure(factor * drop.value, factor * drop.low, factor * drop.high),
        size_bytes,
        record.verdict.released,
        drop,
        ", ".join(told),
    )


def _spec(points: list[_Point], ahead: list[_Point], frame: Frame, lost: str, *, timed: bool) -> Spec:
    palette = frame.palette
    width, height = frame.width - 68, 300 if frame.narrow else 360
    x, y = _axes(points, lost, 4 if frame.narrow else 7, timed=timed)
    biggest = max(point.size_bytes for point in points)
    largest = _NARROW_AREA if frame.narrow else _AREA
    areas = [max(_LEAST_AREA, largest * point.size_bytes / biggest) for point in points]
    spots = [
        (x.pixel(point.x.value, width), height - y.pixel(point.y.value, height), math.sqrt(area / math.pi))
        for point, area in zip(points, areas, strict=True)
    ]
    # From the edge of what is too dear or too bad, down to each point of the front, and on to the other edge.
    top = y.high if points[0].drop is not None else y.low
    stair = [{"x": point.x.value, "y": point.y.value} for point in ahead]
    if stair:
        stair = [{"x": stair[0]["x"], "y": top}, *stair, {"x": x.high, "y": stair[-1]["y"]}]
    corners = [(x.pixel(one["x"], width), height - y.pixel(one["y"], height)) for one in stair]
    lines = [box for one, other in pairwise(corners) for box in _boxes(one, other)]
    labels = placed(spots, [point.recipe for point in points], width, height, lines)
    formats = {point.recipe: find_recipe(point.recipe).format for point in points}
    values = [
        {
            "x": point.x.value, "low": bounded_above_0(point.x)[0], "high": bounded_above_0(point.x)[1],
            "y": point.y.value, "y_low": bounded(point.y)[0], "y_high": bounded(point.y)[1],
            "area": area, "format": formats[point.recipe], "solid": 0.85 if point.released else 0.0, "told": point.told,
        }
        for point, area in zip(points, areas, strict=True)
    ]  # fmt: skip
    named = [
        {"name": point.recipe, "at": label.at, "side": label.side, "centre": label.centre, "middle": label.middle,
         "right": spot[0], "to": spot[1], "apart": label.apart}
        for point, label, spot in zip(points, labels, spots, strict=True)
    ]  # fmt: skip
    led = [name for name in named if name["apart"]]
    there = [pair for pair in _FORMATS if pair[0] in formats.values()]
    colour = {
        "field": "format", "type": "nominal", "title": None, "sort": [name for name, _ in there],
        "scale": {"domain": [name for name, _ in there], "range": list(palette.series[: len(there)])},
    }  # fmt: skip
    x_scale: Spec = {"type": "log" if x.ticks else "linear", "domain": [x.low, x.high], "nice": False, "zero": False}
    position = {
        "x": {"field": "x", "type": "quantitative", "title": x.title, "scale": x_scale,
              "axis": {"grid": False, **(ticked(x.ticks) if x.ticks else {"tickCount": 5, "labelExpr": PLAIN})}},
        "y": {"field": "y", "type": "quantitative", "title": y.title,
              "scale": {"domain": [y.low, y.high], "nice": False, "zero": False},
              "axis": {"minExtent": 40, "maxExtent": 40, "tickCount": 6, "labelExpr": _BRIEF}},
    }  # fmt: skip
    pixels = {"scale": None, "axis": None, "type": "quantitative"}
    return {
        "width": width,
        "height": height,
        "layer": [
            {
                "data": {"values": stair},
                "mark": {"type": "line", "interpolate": "step-after", "color": palette.muted, "strokeDash": [5, 4],
                         "strokeWidth": 1.5, "aria": False},
                "encoding": position,
            },
            {
                "data": {"values": values},
                "mark": {"type": "rule", "strokeWidth": 1.25, "opacity": 0.45, "aria": False},
                "encoding": {"x": position["x"], "y": {**position["y"], "field": "y_low"}, "y2": {"field": "y_high"},
                             "color": colour},
            },
            {
                "data": {"values": values},
                "mark": {"type": "rule", "strokeWidth": 1.25, "opacity": 0.45, "aria": False},
                "encoding": {"y": position["y"], "x": {**position["x"], "field": "low"}, "x2": {"field": "high"},
                             "color": colour},
            },
            {
                "data": {"values": led},
                "mark": {"type": "rule", "color": palette.muted, "strokeWidth": 0.75, "opacity": 0.7, "aria": False},
                "encoding": {"x": {"field": "centre", **pixels}, "x2": {"field": "right"},
                             "y": {"field": "middle", **pixels}, "y2": {"field": "to"}},
            },
            {
                "data": {"values": values},
                "mark": {"type": "point", "filled": True, "opacity": 1, "strokeWidth": 1.5},
                "encoding": {
                    **position,
                    "color": colour,
                    "stroke": {**colour, "legend": None},
                    "shape": {**colour, "scale": {"domain": [n for n, _ in there], "range": [s for _, s in there]}},
                    "size": {"field": "area", "type": "quantitative", "scale": None, "legend": None},
                    "fillOpacity": {"field": "solid", "type": "quantitative", "scale": None, "legend": None},
                    "description": {"field": "told"},
                },
            },
            *(
                {
                    "data": {"values": named},
                    "mark": {"type": "text", "align": {"expr": "datum.side"}, "baseline": "middle", "fontSize": 12,
                             "aria": False, **look},
                    "encoding": {"x": {"field": "at", **pixels}, "y": {"field": "middle", **pixels},
                                 "text": {"field": "name"}},
                }
                # First a ground, so that no line runs through the letters.
                for look in ({"stroke": palette.paper, "strokeWidth": 4, "strokeJoin": "round"}, {"color": palette.ink})
            ),
        ],
    }  # fmt: skip


def _boxes(one: tuple[float, float], other: tuple[float, float]) -> tuple[Box, Box]:
    """About a step of the front: to the right, then down."""
    (left, top), (right, bottom) = one, other
    return (left, top - 1, right, top + 1), (right - 1, top, right + 1, bottom)


def _axes(points: list[_Point], lost: str, most: int, *, timed: bool) -> tuple[_Axis, _Axis]:
    lows, highs = zip(*(bounded_above_0(point.x) for point in points), strict=True)
    ends = [end for point in points for end in bounded(point.y)]
    cost = "Median latency of one sample, ms" if timed else "Size, kB"
    drop = points[0].drop
    least = _LEAST_SPAN["SQNR" if drop is None else drop.metric]
    spare = max(0.0, least - (max(ends) - min(ends))) / 2
    y = _Axis(lost, *spaced(min(ends) - spare, max(ends) + spare, 0.12))
    if min(lows) > 0 and max(highs) > _LOG_FROM * min(lows):
        (low, high), ticks = log_axis(lows, highs, most, room=0.16)
        return _Axis(f"{cost} (logarithmic)", low, high, ticks), y
    return _Axis(cost, *spaced(min(lows), max(highs), 0.2)), y
