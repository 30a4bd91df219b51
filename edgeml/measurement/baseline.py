"""Whether something has become slower since a results file was written."""

from __future__ import annotations

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.results import Comparison, Figure, Machine, Measurement, Results, unpack_times
from edgeml.measurement.cases import Case
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


def ratio_of_runs(times: np.ndarray, baseline: np.ndarray, *, machine: float = 1.0) -> Figure:
    """Median time now by median time then, of two runs that did not share their minutes.

    Between two runs a machine drifts as it does within one, and noise of this kind (1/f) does not average out: a
    whole run is hardly better known than a part of it. So the interval holds what a twelfth of one run by a twelfth
    of the other gives in 95% of all pairs, and is not divided by a root of their number; 2% more on either side for
    what differs from process to process; and what the machine itself has become slower or faster, on either side too,
    since not all work slows down alike.

    Args:
        times: Of each query ``[queries]``, in the order taken.
        baseline: The same, of the other run.
        machine: By what factor work that is always the same took longer in this run than in the other.
    """
    ratio = float(np.median(times) / np.median(baseline))
    if min(len(times), len(baseline)) < 3 * _STRETCHES:
        return Figure(ratio)
    now, then = (
        np.array([np.median(stretch) for stretch in np.array_split(run, _STRETCHES)]) for run in (times, baseline)
    )
    low, high = np.quantile(np.divide.outer(now, then), [0.025, 0.975])
    blur = _LAYOUT * max(machine, 1 / machine)
    return Figure(ratio, min(ratio, float(low)) / blur, max(ratio, float(high)) * blur)


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
    here, there = new.conditions.yardstick_us, old.conditions.yardstick_us
    ratio = ratio_of_runs(
        unpack_times(new.times) / new.batch,
        unpack_times(old.times) / old.batch,
        machine=here / there if here and there and here > 0 and there > 0 else 1.0,
    )
    return Comparison(
        what=str(Case(new.artifact, new.target, new.scenario, new.threads, new.batch)),
        beside=f"the run of {date}",
        ratio=ratio,
        verdict=verdict(ratio),
        rounds=_STRETCHES,
        conditions=new.conditions,
    )
