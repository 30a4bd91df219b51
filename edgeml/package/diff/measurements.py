"""What benchmarks found of the two packages, side by side where machine and setting are the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from edgeml.core.errors import InputError
from edgeml.core.records.benchmark_results import Measurement, Results
from edgeml.package.diff.values import MeasuredDiff

__all__ = ["measured_diffs"]

_Group = tuple[str, str, str, str, int]


def measured_diffs(results: Sequence[Results], digests: Sequence[str]) -> tuple[MeasuredDiff, ...]:
    """One for each setting that was measured of either package; of several runs of it the last counts.

    Args:
        results: Of `edgeml bench`, of either package, of any machines.
        digests: Of the old and of the new package.

    Raises:
        InputError: Results are of neither package.
    """
    for one in results:
        measured = one.package
        if measured.digest not in digests:
            raise InputError(
                f"Results of {measured.name} {measured.version}, {measured.digest[:19]}…, are of neither package.",
                fix="give results that edgeml bench wrote of one of the two.",
            )
    before, after = (_grouped(one for one in results if one.package.digest == digest) for digest in digests)
    return tuple(
        MeasuredDiff(group[0], *(None if one is None else replace(one, times=None) for one in pair))
        for group in {**before, **after}
        for pair in _pairs(before.get(group, {}), after.get(group, {}), offline=group[3] == "offline")
    )


def _grouped(results: Iterable[Results]) -> dict[_Group, dict[int, Measurement]]:
    """Measurements by machine, artifact, target, scenario and threads; in these by batch."""
    found: dict[_Group, dict[int, Measurement]] = {}
    for one in sorted(results, key=lambda run: run.date):
        machine = one.machine.device or f"{one.machine.model}, {one.machine.cores} cores"
        for item in one.measurements:
            group = (machine, item.artifact, item.target, item.scenario, item.threads or 0)
            found.setdefault(group, {})[item.batch] = item
    return found


def _pairs(
    old: dict[int, Measurement], new: dict[int, Measurement], *, offline: bool
) -> Iterator[tuple[Measurement | None, Measurement | None]]:
    if offline and len(old) == len(new) == 1:  # that batch is chosen by how fast the machine just was
        yield next(iter(old.values())), next(iter(new.values()))
        return
    for batch in {**old, **new}:
        yield old.get(batch), new.get(batch)
