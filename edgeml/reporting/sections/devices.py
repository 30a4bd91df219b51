"""Devices side by side, and comparisons within one run."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.package.manifest import Manifest
from edgeml.reporting.charts import log_axis, tick_axis
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import display_text, format_interval, format_ms, positive_bounds, truncate
from edgeml.reporting.inputs import Device
from edgeml.reporting.speeds import Speed, select_fastest

__all__ = ["comparison_section", "device_section"]

_MAX_ROWS = 100
_MAX_SERIES = 8  # number of colors


def device_section(
    manifest: Manifest, devices: Sequence[Device], speeds: dict[str, dict[str, Speed]]
) -> Section | None:
    """Return the latency of each artifact on each device; None for a single device."""
    devices = [device for device in devices if device.results.measurements]
    if len(devices) < 2:
        return None
    sizes = {record.recipe: manifest.files[record.file].size_bytes for record in manifest.artifacts}
    released = [record for record in manifest.artifacts if record.verdict.released]
    rows = []
    for device in devices:
        device_speeds = speeds.get(device.name, {})
        best = select_fastest([record for record in released if record.recipe in device_speeds], device_speeds, sizes)
        cells = ("–", "–") if best is None else (best[0].recipe, format_interval(device_speeds[best[0].recipe].median))
        rows.append((display_text(device.name), display_text(device.machine.model), str(device.machine.cores), *cells))
    kept, omitted = truncate(rows, _MAX_ROWS)
    columns = (
        Column("device", figures=False), Column("processor", figures=False), Column("cores"),
        Column("take", figures=False), Column("median, ms [95%]"),
    )  # fmt: skip
    table = Table("Devices, and what to take on each", columns, kept, (), omitted)
    chart = _chart([record.recipe for record in manifest.artifacts], devices, speeds)
    return Section("devices", "Devices side by side", (table,) if chart is None else (chart, table))


def _chart(recipes: Sequence[str], devices: Sequence[Device], speeds: dict[str, dict[str, Speed]]) -> Chart | None:
    measured, omitted = truncate([device.name for device in devices if device.name in speeds], _MAX_SERIES)
    if len(measured) < 2:
        return None
    names = [name for name in recipes if any(name in speeds[device] for device in measured)]
    titles = {device: display_text(device, 28) for device in measured}
    values: list[dict[str, object]] = []
    for device in measured:
        for name in names:
            if (speed := speeds[device].get(name)) is not None:
                low, high = positive_bounds(speed.median)
                description = f"{name} on {display_text(device)}: median {format_interval(speed.median)} ms"
                values.append(
                    {"artifact": name, "device": titles[device], "ms": speed.median.value, "low": low, "high": high,
                     "description": description}
                )  # fmt: skip
    ends = [min(s.median.value for s in speeds[device].values()) for device in measured]
    summary = (
        f"Median latency of one sample, {len(names)} artifacts on {len(measured)} devices; the fastest of each takes "
        f"from {format_ms(min(ends))} to {format_ms(max(ends))} ms."
    )
    columns = (Column("artifact", figures=False), *(Column(f"{titles[device]}, ms") for device in measured))
    rows = tuple(
        (
            name,
            *(format_interval(speeds[device][name].median) if name in speeds[device] else "–" for device in measured),
        )
        for name in names
    )
    return Chart(
        "devices",
        "Median latency of one sample",
        summary,
        lambda frame: _spec(values, names, list(dict.fromkeys(titles.values())), frame),
        Table("Median latency by device, in milliseconds", columns, rows),
        f"{omitted} more devices are in the table alone." if omitted else "",
    )


def _spec(values: list[dict[str, object]], names: list[str], devices: list[str], frame: Frame) -> Spec:
    y = {"field": "artifact", "type": "nominal", "title": None, "sort": names, "axis": {"grid": True}}
    lows, highs = ([float(str(value[end])) for value in values] for end in ("low", "high"))
    domain, ticks = log_axis(lows, highs, 5 if frame.narrow else 9)
    x = {"type": "quantitative", "title": "Latency, ms (logarithmic)",
         "scale": {"type": "log", "domain": domain, "nice": False},
         "axis": {**tick_axis(ticks), "grid": False}}  # fmt: skip
    series = {"field": "device", "type": "nominal", "title": None, "legend": {"columns": 1 if frame.narrow else 3}}
    color = {**series, "scale": {"domain": devices, "range": list(frame.palette.series[: len(devices)])}}
    shapes = ["circle", "diamond", "square", "triangle-up", "triangle-down", "cross", "triangle-right", "triangle-left"]
    shape = {**series, "scale": {"domain": devices, "range": shapes[: len(devices)]}}
    return {
        "width": frame.width - 120,
        "height": 28 * len(names),
        "data": {"values": values},
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 2, "aria": False},
             "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"},
                          "color": color}},
            {"mark": {"type": "point", "filled": True, "size": 85, "opacity": 1},
             "encoding": {"y": y, "x": {**x, "field": "ms"}, "color": color, "shape": shape,
                          "description": {"field": "description"}}},
        ],
    }  # fmt: skip


def comparison_section(devices: Sequence[Device]) -> Section | None:
    """Return the pairs that were measured in turn, and which one is faster; None without comparisons."""
    rows = [
        (
            display_text(comparison.what),
            display_text(comparison.baseline),
            comparison.verdict,
            format_interval(comparison.ratio, lambda value: f"{value:.3f}"),
            f"{comparison.rounds:,}",
            display_text(device.name),
        )
        for device in devices
        for comparison in device.results.comparisons
    ]
    if not rows:
        return None
    kept, omitted = truncate(rows, _MAX_ROWS)
    columns = (
        Column("measured", figures=False), Column("against", figures=False), Column("verdict", figures=False),
        Column("ratio of times [95%]"), Column("pairs"), Column("device", figures=False),
    )  # fmt: skip
    title = "Time of the first by time of the second: below 1 the first is the faster one"
    return Section("comparisons", "Compared", (Table(title, columns, kept, (), omitted),))
