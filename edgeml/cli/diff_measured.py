"""Benchmarks in the output of `edgeml diff`: a line for each setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgeml.cli.bench_table import columns_of

if TYPE_CHECKING:
    from edgeml.core.records.benchmark_results import Measurement
    from edgeml.package.diff import MeasuredDiff

__all__ = ["measured_lines"]

_SHOWN = 40  # settings; all of them are in the JSON
_SETTING = ("artifact", "target", "scenario", "threads", "batch")
_LEFT_OUT = (*_SETTING, "kB", "p90")


def measured_lines(measured: Sequence[MeasuredDiff]) -> Iterator[str]:
    """Yield the setting, each figure old and new, and the conditions that make the figures doubtful."""
    for item in measured[:_SHOWN]:
        old, new = _cells(item.old), _cells(item.new)
        artifact, target, scenario, threads, batch = (new.get(name) or old[name] for name in _SETTING)
        figures = "; ".join(
            f"{title} {old.get(title, 'missing')} -> {new.get(title, 'missing')}"
            for title in {**old, **new}
            if title not in _LEFT_OUT
        )
        yield f"{artifact} on {target}, {scenario}, threads {threads}, batch {batch} ({item.machine}): {figures}"
        for which, side in (("old", item.old), ("new", item.new)):
            if side is not None and side.conditions.flags:
                yield f"  {which}: {' '.join(side.conditions.flags)}"
    if len(measured) > _SHOWN:
        yield f"and {len(measured) - _SHOWN} more settings, which --json has"


def _cells(side: Measurement | None) -> dict[str, str]:
    """Return the known figures by title."""
    columns = {} if side is None else columns_of([side])
    return {title: cell for title, (cell,) in columns.items() if cell != "-"}
