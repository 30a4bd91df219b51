"""Benchmark results of two packages, side by side for the same machine and setting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from edgeml.core.errors import InputError
from edgeml.core.records.benchmark_results import Measurement, Results
from edgeml.package.diff.values import MeasuredDiff

__all__ = ["measured_diffs"]

_Group = tuple[str, str, str, str, int]


def measured_diffs(results: Sequence[Results], digests: Sequence[str]) -> tuple[MeasuredDiff, ...]:
    """Return a comparison for each setting that was measured of either package; the last run of a setting counts.

    Args:
        results: Results of `edgeml bench` for either package, from any machines.
        digests: Digests of the old and of the new package.

    Raises:
        InputError: Results belong to neither package.
    """
    for run in results:
        measured = run.package
        if measured.digest not in digests:
            raise InputError(
                f"Results of {measured.name} {measured.version}, {measured.digest[:19]}…, belong to neither package.",
                fix="pass results that edgeml bench wrote for one of the two packages.",
            )
    before, after = (_group(run for run in results if run.package.digest == digest) for digest in digests)
    return tuple(
        MeasuredDiff(group[0], *(None if side is None else replace(side, times=None) for side in pair))
        for group in {**before, **after}
        for pair in _pairs(before.get(group, {}), after.get(group, {}), offline=group[3] == "offline")
    )


def _group(results: Iterable[Results]) -> dict[_Group, dict[int, Measurement]]:
    """Group measurements by machine, artifact, target, scenario and threads; within a group by batch."""
    groups: dict[_Group, dict[int, Measurement]] = {}
    for run in sorted(results, key=lambda run: run.date):
        machine = run.machine.device or f"{run.machine.model}, {run.machine.cores} cores"
        for measurement in run.measurements:
            group = (
                machine,
                measurement.artifact,
                measurement.target,
                measurement.scenario,
                measurement.threads or 0,
            )
            groups.setdefault(group, {})[measurement.batch] = measurement
    return groups


def _pairs(
    old: dict[int, Measurement], new: dict[int, Measurement], *, offline: bool
) -> Iterator[tuple[Measurement | None, Measurement | None]]:
    if offline and len(old) == len(new) == 1:  # the batch was chosen by the machine's speed during the run
        yield next(iter(old.values())), next(iter(new.values()))
        return
    for batch in {**old, **new}:
        yield old.get(batch), new.get(batch)
