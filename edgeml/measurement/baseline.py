"""Whether something has become slower since a results file was written."""

from __future__ import annotations

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.results import Comparison, Figure, Machine, Measurement, Results, unpack_times
from edgeml.measurement.comparison import verdict

__all__ = ["against_baseline", "check_baseline", "ratio_of_runs"]

_STRETCHES = 12
# Where memory comes to lie differs from process to process, and no run shows by itself what that did to it.
_LAYOUT = 1.02


def against_baseline(results: Results, baseline: Results) -> tuple[Comparison, ...]:
    """The median time of each measurement by that of the same in an earlier run, where both have it.

    The server scenario is left out: its latencies are those of whatever rate held.

    Args:
        results: The new run.
        baseline: The earlier one, of any version of the package, on the same machine.

    Raises:
        InputError: It is of another package or another machine, or has no measurement in common with the new run.
    """
    check_baseline(baseline, results.package.name, results.machine)
    pairs = [(new, old) for new in results.measurements if (old := _same(new, results, baseline)) is not None]
    if not pairs:
        raise InputError("The baseline has no measurement in common with this run.", fix="measure a new baseline.")
    return tuple(_compared(new, old, baseline.date) for new, old in pairs)


def check_baseline(baseline: Results, package: str, machine: Machine) -> None:
    """Whether figures of a package on a machine may stand beside those of an earlier run.

    Raises:
        InputError: That was of another package or another machine, or measured nothing.
    """
    if baseline.package.name != package:
        raise InputError(
            f"The baseline is of package '{baseline.package.name}', not of '{package}'.",
            fix="give the results of an earlier run of this package.",
        )
    for what in ("model", "cpu", "cores", "device"):
        here, there = getattr(machine, what), getattr(baseline.machine, what)
        if here != there:
            raise InputError(
                f"The baseline was measured on another machine: its {what} is {there!r}, here it is {here!r}.",
                fix="measure a baseline on this machine.",
            )
    if not any(_timed(item) for item in baseline.measurements):
        raise InputError("The baseline holds no times.", fix="measure a new baseline.")


def ratio_of_runs(times: np.ndarray, baseline: np.ndarray) -> Figure:
    """Median time now by median time then, of two runs that did not share their minutes.

    Between two runs a machine drifts as it does within one, and noise of this kind (1/f) does not average out: a
    whole run is hardly better known than a part of it. So the interval holds what a twelfth of one run by a twelfth
    of the other gives in 95% of all pairs, and is not divided by a root of their number; and 2% more on either side
    for what differs from process to process.

    Args:
        times: Of each query ``[queries]``, in the order taken.
        baseline: The same, of the other run.
    """
    ratio = float(np.median(times) / np.median(baseline))
    if min(len(times), len(baseline)) < 3 * _STRETCHES:
        return Figure(ratio)
    now, then = (
        np.array([np.median(stretch) for stretch in np.array_split(run, _STRETCHES)]) for run in (times, baseline)
    )
    low, high = np.quantile(np.divide.outer(now, then), [0.025, 0.975])
    return Figure(ratio, min(ratio, float(low)) / _LAYOUT, max(ratio, float(high)) * _LAYOUT)


def _same(new: Measurement, results: Results, baseline: Results) -> Measurement | None:
    """The earlier measurement of the same; of the same batch, or of another where each run has but one."""

    def key(item: Measurement) -> tuple[object, ...]:
        return item.artifact, item.target, item.scenario, item.threads

    if new.scenario == "server" or not _timed(new):
        return None
    alike = [item for item in baseline.measurements if key(item) == key(new) and _timed(item)]
    exact = [item for item in alike if item.batch == new.batch]
    if exact:
        return exact[0]
    # The offline batch is chosen by how fast the machine just was.
    alone = len(alike) == sum(key(item) == key(new) for item in results.measurements) == 1
    return alike[0] if alone and new.scenario == "offline" else None


def _timed(item: Measurement) -> bool:
    return item.times is not None and item.times.count > 0


def _compared(new: Measurement, old: Measurement, date: str) -> Comparison:
    assert new.times is not None and old.times is not None
    ratio = ratio_of_runs(unpack_times(new.times) / new.batch, unpack_times(old.times) / old.batch)
    return Comparison(
        what=f"{new.artifact} on {new.target}, {new.scenario}",
        beside=f"the run of {date}",
        ratio=ratio,
        verdict=verdict(ratio),
        rounds=_STRETCHES,
        conditions=new.conditions,
    )
