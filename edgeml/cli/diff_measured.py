"""What `edgeml diff` tells of benchmarks: a line for each setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgeml.cli.bench_table import columns_of

if TYPE_CHECKING:
    from edgeml.core.records.benchmark_results import Measurement
    from edgeml.package.diff import MeasuredDiff

__all__ = ["measured_lines"]

_MOST = 40  # settings; all of them are in the JSON
_SETTING = ("artifact", "target", "scenario", "threads", "batch")
_LEFT_OUT = (*_SETTING, "kB", "p90")


def measured_lines(measured: Sequence[MeasuredDiff]) -> Iterator[str]:
    """Where it was measured and what, each figure old and new, and what makes them doubtful."""
    for one in measured[:_MOST]:
        old, new = _cells(one.old), _cells(one.new)
        artifact, target, scenario, threads, batch = (new.get(name) or old[name] for name in _SETTING)
        figures = "; ".join(
            f"{title} {old.get(title, 'missing')} -> {new.get(title, 'missing')}"
            for title in {**old, **new}
            if title not in _LEFT_OUT
        )
        yield f"{artifact} on {target}, {scenario}, threads {threads}, batch {batch} ({one.machine}): {figures}"
        for which, side in (("old", one.old), ("new", one.new)):
            if side is not None and side.conditions.flags:
                yield f"  {which}: {' '.join(side.conditions.flags)}"
    if len(measured) > _MOST:
        yield f"and {len(measured) - _MOST} more settings, which --json has"


def _cells(side: Measurement | None) -> dict[str, str]:
    """What is known of it, by title."""
    found = {} if side is None else columns_of([side])
    return {title: cell for title, (cell,) in found.items() if cell != "-"}
