"""Further costs of an artifact: cold start, preprocessing, memory, energy; and the load it can serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeml.core.records.benchmark_results import Measurement
from edgeml.reporting.document import Column, Section, Table
from edgeml.reporting.formatting import (
    display_text,
    format_configuration,
    format_interval,
    format_kb,
    format_ms,
    format_rate,
    truncate,
)
from edgeml.reporting.inputs import Device

__all__ = ["costs_section"]

_MAX_ROWS = 100
_COSTS: tuple[tuple[str, Callable[[Measurement], str | None]], ...] = (
    ("cold start, ms [95%]", lambda item: None if item.cold_start_ms is None else format_interval(item.cold_start_ms)),
    (
        "preprocessing, ms [95%]",
        lambda item: None if item.preprocessing_ms is None else format_interval(item.preprocessing_ms),
    ),
    ("peak memory, MB", lambda item: None if item.peak_mb is None else f"{item.peak_mb:.1f}"),
    ("arena, kB", lambda item: None if item.arena_bytes is None else format_kb(item.arena_bytes)),
    ("energy a sample, mJ", lambda item: None if item.joules is None else f"{1000 * item.joules:.3g}"),
)


def costs_section(devices: Sequence[Device]) -> Section | None:
    """Return tables of the measured costs and loads; None if neither was measured."""
    tables = [table for table in (_costs(devices), _loads(devices)) if table is not None]
    return Section("costs", "Start, memory, energy, load", tuple(tables)) if tables else None


def _costs(devices: Sequence[Device]) -> Table | None:
    rows_by_key: dict[tuple[str, str], dict[str, str]] = {}
    for device in devices:
        for item in device.results.measurements:
            cells = {title: text for title, format_cost in _COSTS if (text := format_cost(item)) is not None}
            key = (f"{item.artifact}, {display_text(item.target, 24)}", display_text(device.name))
            if cells:
                rows_by_key[key] = cells | rows_by_key.get(key, {})  # the first setting with a value counts
    titles = [title for title, _ in _COSTS if any(title in cells for cells in rows_by_key.values())]
    if not titles:
        return None
    rows = [(*key, *(cells.get(title, "–") for title in titles)) for key, cells in rows_by_key.items()]
    kept, omitted = truncate(rows, _MAX_ROWS)
    columns = (Column("artifact", figures=False), Column("device", figures=False), *map(Column, titles))
    return Table("From the start of a process to the first output; memory above idle", columns, kept, (), omitted)


def _loads(devices: Sequence[Device]) -> Table | None:
    rows = [
        (
            item.artifact,
            display_text(device.name),
            format_configuration(item, batch=item.batch > 1),
            "–" if item.latency_bound_ms is None else format_ms(item.latency_bound_ms),
            "none" if item.throughput is None else format_interval(item.throughput, format_rate),
        )
        for device in devices
        for item in device.results.measurements
        if item.scenario == "server"
    ]
    if not rows:
        return None
    kept, omitted = truncate(rows, _MAX_ROWS)
    columns = (
        Column("artifact", figures=False), Column("device", figures=False), Column("where", figures=False),
        Column("bound, ms"), Column("queries a second [95%]"),
    )  # fmt: skip
    title = "The highest rate of random arrivals at which 99% of the queries kept the bound"
    return Table(title, columns, kept, (), omitted)
