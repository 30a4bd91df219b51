"""Devices side by side, and comparisons in one run."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.package.manifest import Manifest
from edgeml.reporting.charts import log_axis, ticked
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import bounded_above_0, first, interval, milliseconds, shown
from edgeml.reporting.inputs import Device
from edgeml.reporting.speeds import Speed, fastest

__all__ = ["comparison_section", "device_section"]

_MOST_ROWS = 100
_MOST_DRAWN = 8  # as many as there are colours


def device_section(
    manifest: Manifest, devices: Sequence[Device], speeds: dict[str, dict[str, Speed]]
) -> Section | None:
    """The latency of each artifact on each device; None where there is but one."""
    devices = [device for device in devices if device.results.measurements]
    if len(devices) < 2:  # two make a comparison
        return None
    sizes = {record.recipe: manifest.files[record.file].size_bytes for record in manifest.artifacts}
    released = [record for record in manifest.artifacts if record.verdict.released]
    rows = []
    for device in devices:
        found = speeds.get(device.name, {})
        best = fastest([record for record in released if record.recipe in found], found, sizes)
        cells = ("–", "–") if best is None else (best[0].recipe, interval(found[best[0].recipe].median))
        rows.append((shown(device.name), shown(device.machine.model), str(device.machine.cores), *cells))
    kept, left_out = first(rows, _MOST_ROWS)
    columns = (
        Column("device", figures=False), Column("processor", figures=False), Column("cores"),
        Column("take", figures=False), Column("median, ms [95%]"),
    )  # fmt: skip
    table = Table("Devices, and what to take on each", columns, kept, (), left_out)
    chart = _chart([record.recipe for record in manifest.artifacts], devices, speeds)
    return Section("devices", "Devices side by side", (table,) if chart is None else (chart, table))


def _chart(recipes: Sequence[str], devices: Sequence[Device], speeds: dict[str, dict[str, Speed]]) -> Chart | None:
    timed, left_out = first([device.name for device in devices if device.name in speeds], _MOST_DRAWN)
    if len(timed) < 2:
        return None
    names = [name for name in recipes if any(name in speeds[device] for device in timed)]
    titles = {device: shown(device, 28) for device in timed}
    values: list[dict[str, object]] = []
    for device in timed:
        for name in names:
            if (speed := speeds[device].get(name)) is not None:
                low, high = bounded_above_0(speed.median)
                told = f"{name} on {shown(device)}: median {interval(speed.median)} ms"
                values.append(
                    {"artifact": name, "device": titles[device], "ms": speed.median.value, "low": low, "high": high,
                     "told": told}
                )  # fmt: skip
    ends = [min(s.median.value for s in speeds[device].values()) for device in timed]
    summary = (
        f"Median latency of one sample, {len(names)} artifacts on {len(timed)} devices; the fastest of each takes from "
        f"{milliseconds(min(ends))} to {milliseconds(max(ends))} ms."
    )
    columns = (Column("artifact", figures=False), *(Column(f"{titles[device]}, ms") for device in timed))
    rows = tuple(
        (name, *(interval(speeds[device][name].median) if name in speeds[device] else "–" for device in timed))
        for name in names
    )
    return Chart(
        "devices",
        "Median latency of one sample",
        summary,
        lambda frame: _spec(values, names, list(dict.fromkeys(titles.values())), frame),
        Table("Median latency by device, in milliseconds", columns, rows),
        f"{left_out} more devices are in the table alone." if left_out else "",
    )


def _spec(values: list[dict[str, object]], names: list[str], devices: list[str], frame: Frame) -> Spec:
    y = {"field": "artifact", "type": "nominal", "title": None, "sort": names, "axis": {"grid": True}}
    lows, highs = ([float(str(value[end])) for value in values] for end in ("low", "high"))
    domain, ticks = log_axis(lows, highs, 5 if frame.narrow else 9)
    x = {"type": "quantitative", "title": "Latency, ms (logarithmic)",
         "scale": {"type": "log", "domain": domain, "nice": False},
         "axis": {**ticked(ticks), "grid": False}}  # fmt: skip
    who = {"field": "device", "type": "nominal", "title": None, "legend": {"columns": 1 if frame.narrow else 3}}
    colour = {**who, "scale": {"domain": devices, "range": list(frame.palette.series[: len(devices)])}}
    shapes = ["circle", "diamond", "square", "triangle-up", "triangle-down", "cross", "triangle-right", "triangle-left"]
    shape = {**who, "scale": {"domain": devices, "range": shapes[: len(devices)]}}
    return {
        "width": frame.width - 120,
        "height": 28 * len(names),
        "data": {"values": values},
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 2, "aria": False},
             "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"},
                          "color": colour}},
            {"mark": {"type": "point", "filled": True, "size": 85, "opacity": 1},
             "encoding": {"y": y, "x": {**x, "field": "ms"}, "color": colour, "shape": shape,
                          "description": {"field": "told"}}},
        ],
    }  # fmt: skip


def comparison_section(devices: Sequence[Device]) -> Section | None:
    """What was measured in turn with what, and which is faster; None where nothing was."""
    rows = [
        (
            shown(one.what),
            shown(one.baseline),
            one.verdict,
            interval(one.ratio, lambda value: f"{value:.3f}"),
            f"{one.rounds:,}",
            shown(device.name),
        )
        for device in devices
        for one in device.results.comparisons
    ]
    if not rows:
        return None
    kept, left_out = first(rows, _MOST_ROWS)
    columns = (
        Column("measured", figures=False), Column("against", figures=False), Column("verdict", figures=False),
        Column("ratio of times [95%]"), Column("pairs"), Column("device", figures=False),
    )  # fmt: skip
    title = "Time of the first by time of the second: below 1 the first is the faster one"
    return Section("comparisons", "Compared", (Table(title, columns, kept, (), left_out),))
