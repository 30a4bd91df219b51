"""What an artifact loses against what it costs, with the front of those that none beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeml.core.evidence import Drop
from edgeml.core.recipe import find_recipe
from edgeml.package.manifest import ArtifactRecord, Manifest
from edgeml.report.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.report.drawing import spaced
from edgeml.report.labels import placed
from edgeml.report.speeds import Speed
from edgeml.report.words import bounded, drop_text, first, interval, kilobytes, milliseconds, shown, unit_of_drop

__all__ = ["front", "tradeoff_chart", "tradeoff_section"]

_MOST_MACHINES = 6
_LOG_FROM = 4  # where the largest is so many times the smallest
_AREA = (60.0, 1100.0)  # square pixels of the smallest and the largest artifact
_FORMATS = (("tflite", "circle"), ("onnx", "diamond"))


@dataclass(frozen=True, slots=True)
class _Point:
    recipe: str
    x: float
    x_low: float
    x_high: float
    y: float
    y_low: float
    y_high: float
    size_bytes: int
    released: bool
    drop: Drop | None
    told: str


@dataclass(frozen=True, slots=True)
class _Axis:
    title: str
    low: float
    high: float
    log: bool = False
    reverse: bool = False

    def pixel(self, value: float, length: float) -> float:
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        share = (at - low) / (high - low)
        return length * (1 - share if self.reverse else share)


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
    ahead = front(points)
    names = [point.recipe for point in ahead]
    cost = "median latency" if speeds else "size"
    drop = points[0].drop
    lost = unit_of_drop(drop.metric) if drop is not None else "SQNR, dB (higher is better)"
    summary = (
        f"{'Loss' if dropped else 'Fidelity'} against {cost} of {len(points)} artifacts. None is better in both than "
        f"{', '.join(names)}, which make the Pareto front."
    )
    columns = (Column("artifact", figures=False), Column(lost), Column("latency, ms" if speeds else "kB"), Column("kB"))
    rows = tuple(
        (
            point.recipe,
            drop_text(point.drop) if point.drop is not None else f"{point.y:.1f}",
            interval(speeds[point.recipe].median) if speeds else kilobytes(point.size_bytes),
            kilobytes(point.size_bytes),
        )
        for point in points
    )
    if not speeds:
        columns, rows = columns[:3], tuple(row[:3] for row in rows)
    return Chart(
        f"tradeoff-{number}",
        f"On {shown(machine)}" if speeds else "By size: latency was not measured",
        summary,
        lambda frame: _spec(points, ahead, frame, lost, timed=bool(speeds)),
        Table("Loss and cost", columns, rows, tuple("best" if row[0] in names else "" for row in rows)),
        "The line is the Pareto front: no artifact is better in both than one on it. The area of a mark is the "
        "artifact's size; a hollow one was rejected.",
    )


def front(points: Sequence[_Point]) -> list[_Point]:
    """Those that no other is at least as good as in both, and better in one; by rising cost."""
    found: list[_Point] = []
    for point in sorted(points, key=lambda point: (point.x, point.y)):
        if point.released and (not found or point.y < found[-1].y):
            found.append(point)
    return found


def _point(manifest: Manifest, record: ArtifactRecord, speeds: dict[str, Speed], *, dropped: bool) -> _Point:
    size_bytes = manifest.files[record.file].size_bytes
    drop = record.evaluation.drop if dropped else None
    factor = 100.0 if drop is not None and drop.metric == "accuracy" else 1.0
    y = (drop.value, drop.low, drop.high) if drop is not None else (-record.evaluation.fidelity.sqnr_db,) * 3
    speed = speeds.get(record.recipe)
    x = (size_bytes / 1000,) * 3 if speed is None else (speed.median.value, *bounded(speed.median))
    told = [record.recipe, drop_text(drop) + " lost" if drop is not None else f"SQNR {-y[0]:.1f} dB"]
    told += [f"{milliseconds(x[0])} ms"] if speed is not None else []
    told += [f"{kilobytes(size_bytes)} kB", record.verdict.status]
    return _Point(
        record.recipe, *x, *(factor * end for end in y), size_bytes, record.verdict.released, drop, ", ".join(told)
    )  # fmt: skip


def _spec(points: list[_Point], ahead: list[_Point], frame: Frame, lost: str, *, timed: bool) -> Spec:
    palette = frame.palette
    width, height = frame.width - 62, 300 if frame.narrow else 360
    x, y = _axes(points, lost, timed=timed)
    biggest = max(point.size_bytes for point in points)
    areas = [_AREA[0] + (_AREA[1] - _AREA[0]) * point.size_bytes / biggest for point in points]
    sign = 1 if points[0].drop is not None else -1  # SQNR is better the higher it is
    spots = [
        (x.pixel(point.x, width), height - y.pixel(sign * point.y, height), math.sqrt(area / math.pi))
        for point, area in zip(points, areas, strict=True)
    ]
    labels = placed(spots, [point.recipe for point in points], width, height)
    formats = {point.recipe: find_recipe(point.recipe).format for point in points}
    values = [
        {
            "x": point.x, "low": point.x_low, "high": point.x_high,
            "y": sign * point.y, "y_low": sign * point.y_low, "y_high": sign * point.y_high,
            "area": area, "format": formats[point.recipe], "solid": 0.85 if point.released else 0.0, "told": point.told,
        }
        for point, area in zip(points, areas, strict=True)
    ]  # fmt: skip
    named = [
        {"name": point.recipe, "left": label.left, "middle": label.middle, "right": spot[0], "to": spot[1]}
        for point, label, spot in zip(points, labels, spots, strict=True)
    ]
    led = [
        {**name, "left": name["left"] + 3.3 * len(point.recipe)}
        for name, label, point in zip(named, labels, points, strict=True)
        if label.apart
    ]
    there = [pair for pair in _FORMATS if pair[0] in formats.values()]
    colour = {
        "field": "format", "type": "nominal", "title": None, "sort": [name for name, _ in there],
        "scale": {"domain": [name for name, _ in there], "range": list(palette.series[: len(there)])},
    }  # fmt: skip
    x_scale: Spec = {"type": "log" if x.log else "linear", "domain": [x.low, x.high], "nice": False, "zero": False}
    position = {
        "x": {"field": "x", "type": "quantitative", "title": x.title, "scale": x_scale,
              "axis": {"grid": False, "tickCount": 5, "format": "~g"}},
        "y": {"field": "y", "type": "quantitative", "title": y.title,
              "scale": {"domain": [y.low, y.high], "nice": False, "zero": False},
              "axis": {"minExtent": 34, "maxExtent": 34, "tickCount": 6}},
    }  # fmt: skip
    pixels = {"scale": None, "axis": None, "type": "quantitative"}
    line = {"data": {"values": [{"x": point.x, "y": sign * point.y} for point in ahead]}}
    return {
        "width": width,
        "height": height,
        "layer": [
            {
                **line,
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
                "encoding": {"x": {"field": "left", **pixels}, "x2": {"field": "right"},
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
            {
                "data": {"values": named},
                "mark": {"type": "text", "align": "left", "baseline": "middle", "fontSize": 12, "aria": False,
                         "color": palette.ink},
                "encoding": {"x": {"field": "left", **pixels}, "y": {"field": "middle", **pixels},
                             "text": {"field": "name"}},
            },
        ],
    }  # fmt: skip


def _axes(points: list[_Point], lost: str, *, timed: bool) -> tuple[_Axis, _Axis]:
    lows, highs = [point.x_low for point in points], [point.x_high for point in points]
    cost = "Median latency of one sample, ms" if timed else "Size, kB"
    sign = 1 if points[0].drop is not None else -1
    ends = [sign * end for point in points for end in (point.y_low, point.y_high)]
    y = _Axis(lost, *spaced(min(ends), max(ends), 0.12))
    if min(lows) > 0 and max(highs) > _LOG_FROM * min(lows):
        low, high = spaced(math.log(min(lows)), math.log(max(highs)), 0.12)
        return _Axis(f"{cost} (logarithmic)", math.exp(low), math.exp(high), log=True), y
    return _Axis(cost, *spaced(min(lows), max(highs), 0.15)), y
