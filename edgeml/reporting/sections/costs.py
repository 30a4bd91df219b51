"""What else an artifact costs: its first answer, memory, energy; and the load that it bears."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeml.core.records.benchmark_results import Measurement
from edgeml.reporting.document import Column, Section, Table
from edgeml.reporting.formatting import configuration, first, interval, kilobytes, milliseconds, rate, shown
from edgeml.reporting.inputs import Device

__all__ = ["costs_section"]

_MOST_ROWS = 100
_COSTS: tuple[tuple[str, Callable[[Measurement], str | None]], ...] = (
    ("cold start, ms [95%]", lambda one: None if one.cold_start_ms is None else interval(one.cold_start_ms)),
    ("preprocessing, ms [95%]", lambda one: None if one.preprocessing_ms is None else interval(one.preprocessing_ms)),
    ("peak memory, MB", lambda one: None if one.peak_mb is None else f"{one.peak_mb:.1f}"),
    ("arena, kB", lambda one: None if one.arena_bytes is None else kilobytes(one.arena_bytes)),
    ("energy a sample, mJ", lambda one: None if one.joules is None else f"{1000 * one.joules:.3g}"),
)


def costs_section(devices: Sequence[Device]) -> Section | None:
    """Tables of what was measured of these; None where nothing was."""
    tables = [table for table in (_costs(devices), _loads(devices)) if table is not None]
    return Section("costs", "Start, memory, energy, load", tuple(tables)) if tables else None


def _costs(devices: Sequence[Device]) -> Table | None:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for device in devices:
        for one in device.results.measurements:
            cells = {title: text for title, tell in _COSTS if (text := tell(one)) is not None}
            key = (f"{one.artifact}, {shown(one.target, 24)}", shown(device.name))
            if cells:
                found[key] = cells | found.get(key, {})  # of several settings the first that told
    titles = [title for title, _ in _COSTS if any(title in cells for cells in found.values())]
    if not titles:
        return None
    rows = [(*key, *(cells.get(title, "–") for title in titles)) for key, cells in found.items()]
    kept, left_out = first(rows, _MOST_ROWS)
    columns = (Column("artifact", figures=False), Column("device", figures=False), *map(Column, titles))
    return Table("From the start of a process to the first answer; memory above idle", columns, kept, (), left_out)


def _loads(devices: Sequence[Device]) -> Table | None:
    rows = [
        (
            one.artifact,
            shown(device.name),
            configuration(one, batch=one.batch > 1),
            "–" if one.latency_bound_ms is None else milliseconds(one.latency_bound_ms),
            "none" if one.throughput is None else interval(one.throughput, rate),
        )
        for device in devices
        for one in device.results.measurements
        if one.scenario == "server"
    ]
    if not rows:
        return None
    kept, left_out = first(rows, _MOST_ROWS)
    columns = (
        Column("artifact", figures=False), Column("device", figures=False), Column("where", figures=False),
        Column("bound, ms"), Column("queries a second [95%]"),
    )  # fmt: skip
    title = "The highest rate of random arrivals at which 99% of the queries kept the bound"
    return Table(title, columns, kept, (), left_out)
