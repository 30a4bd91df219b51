"""How latencies are distributed: not only the median, but the tail that users feel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.records.benchmark_results import Measurement
from edgeml.reporting.charts import log_axis, ticked
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import configuration, first, interval, milliseconds, quantile, shown, threads_text
from edgeml.reporting.inputs import Device, durations_ms
from edgeml.reporting.sections.by_device import section_by_device

__all__ = ["latency_section"]

_MOST_ROWS = 24
_QUANTILES = (0.5, 0.9, 0.95, 0.99)
_TICKS = ((0.5, "median"), (0.9, "90%"), (0.99, "99%"))
_BINS = 60
_TAIL = 0.995  # the few slowest would squeeze all others into a corner
_ROW = 26


def latency_section(devices: Sequence[Device]) -> Section | None:
    """A chart for each device that measured latencies, and scenario: their queries differ, and do not compare."""
    return section_by_device("latency", "Latency of a query", devices, _charts)


def _charts(device: Device, number: int) -> list[Chart]:
    timed: dict[str, list[Measurement]] = {}
    for one in device.results.measurements:
        if one.latency and one.scenario != "offline":
            timed.setdefault(one.scenario, []).append(one)
    return [_chart(device, f"{number}-{scenario}", scenario, found) for scenario, found in timed.items()]


def _chart(device: Device, key: str, scenario: str, timed: list[Measurement]) -> Chart:
    timed.sort(key=lambda one: (one.batch, one.target, one.threads or 0, quantile_value(one)))
    kept, left_out = first(timed, _MOST_ROWS)
    names, alike = _names(kept)
    best, worst = min(kept, key=quantile_value), max(kept, key=quantile_value)
    summary = (
        f"Latencies of {len(kept)} measurements, {scenario}: medians from {milliseconds(quantile_value(best))} ms "
        f"({best.artifact}) to {milliseconds(quantile_value(worst))} ms ({worst.artifact})."
    )
    columns = [Column("artifact", figures=False), Column("where", figures=False), Column("queries")]
    columns += [Column(name) for name in ("median, ms [95%]", "90%", "95%", "99%")]
    rows = tuple(
        (
            one.artifact,
            configuration(one, batch=one.batch > 1),
            f"{one.queries:,}",
            *(interval(figure) if (figure := quantile(one, at)) is not None else "–" for at in _QUANTILES),
        )
        for one in kept
    )
    return Chart(
        f"latency-{key}",
        ", ".join([f"On {shown(device.name)}", scenario, *alike]),
        summary,
        lambda frame: _spec(kept, names, frame),
        Table("Quantiles of latency; a dash where the count does not support one", tuple(columns), rows, (), left_out),
        "The stronger the colour, the more queries took so long; the marks are the median, the 90th and the 99th "
        "percentile, where the count supports them. The slowest 0.5% are not drawn."
        + (" ×2 are two threads." if len({one.threads for one in kept}) > 1 else "")
        + (" b8 is a batch of eight." if len({one.batch for one in kept}) > 1 else "")
        + (f" {left_out} more measurements are left out." if left_out else ""),
    )


def quantile_value(measured: Measurement) -> float:
    """The median in milliseconds, or the lowest quantile that was found."""
    median = quantile(measured, 0.5)
    return median.value if median is not None else min(one.ms.value for one in measured.latency)


def _names(kept: Sequence[Measurement]) -> tuple[list[str], list[str]]:
    """A row's name, with what it does not share with all others; and what all share."""
    kinds = [
        ([shown(one.target, 24) for one in kept], [f" {shown(one.target, 12)}" for one in kept]),
        ([threads_text(one.threads) for one in kept], [f" ×{one.threads or 'default'}" for one in kept]),
        ([f"batch {one.batch}" for one in kept], [f" b{one.batch}" for one in kept]),
    ]
    names, alike = [one.artifact for one in kept], []
    for told, short in kinds:
        if len(set(told)) > 1:
            names = [name + more for name, more in zip(names, short, strict=True)]
        elif told[0] != "batch 1":
            alike.append(told[0])
    return names, alike


def _spec(kept: Sequence[Measurement], names: Sequence[str], frame: Frame) -> Spec:
    cells, ticks, spans = [], [], []
    every = []
    for row, (one, name) in enumerate(zip(kept, names, strict=True)):
        at = {"top": row + 0.14, "middle": row + 0.5, "bottom": row + 0.86}
        figures = [(word, figure) for q, word in _TICKS if (figure := quantile(one, q)) is not None]
        every += [figure.value for _, figure in figures]
        for word, figure in figures:
            told = f"{name}: {word} {interval(figure)} ms"
            ticks.append({**at, "ms": figure.value, "which": word, "told": told})
        if one.times is not None:
            times = durations_ms(one.times)
            times = times[times > 0]
            if times.size:
                high = float(np.quantile(times, _TAIL, method="lower"))
                every += [float(times.min()), high]
                cells += _density(times[times <= high], at)
        elif len(figures) > 1:
            spans.append({**at, "low": figures[0][1].value, "high": figures[-1][1].value})
    longest = max(map(len, names))
    extent = min(165 if frame.narrow else 260, 8 + round(6.8 * longest))
    palette = frame.palette
    domain, marks = log_axis(every, every, 5 if frame.narrow else 9)
    scale = {"type": "log", "domain": domain, "nice": False}
    x = {"field": "ms", "type": "quantitative", "scale": scale, "title": "Latency, ms (logarithmic)",
         "axis": {**ticked(marks), "grid": True}}  # fmt: skip
    rows: Spec = {
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [0, len(kept)], "reverse": True, "nice": False},
    }
    labels = [{"row": row + 0.5, "name": name} for row, name in enumerate(names)]
    height = _ROW * len(kept)
    return {
        "width": frame.width - extent - 16,
        "height": height,
        "layer": [
            {
                "data": {"values": labels},
                "mark": {"type": "text", "align": "right", "baseline": "middle", "aria": False, "color": palette.ink,
                         "limit": extent - 6},
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
                              "sort": [word for _, word in _TICKS],
                              "scale": {"domain": [word for _, word in _TICKS],
                                        "range": [palette.ink, palette.series[1], palette.series[3]]},
                              "legend": {"symbolType": "stroke"}},
                    "description": {"field": "told"},
                },
            },
        ],
    }  # fmt: skip


def _density(times: np.ndarray, at: dict[str, float]) -> list[dict[str, float]]:
    """Bins of equal ratio, each with its share of the fullest."""
    low, high = float(times.min()), float(times.max())
    edges = np.geomspace(low, high if high > low else low * 1.001, _BINS + 1)
    counts, _ = np.histogram(times, edges)
    # The square root lets the tail be seen beside the bulk.
    shares = np.sqrt(counts / max(1, counts.max()))
    return [
        {**at, "low": float(edges[i]), "high": float(edges[i + 1]), "share": round(float(share), 3)}
        for i, share in enumerate(shares)
        if share
    ]
