"""Whether something has become slower since a results file was written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.records.benchmark_results import Comparison, Figure, Machine, Measurement, Results, unpack_times
from edgeml.measurement.cases import Case
from edgeml.measurement.comparison import verdict

__all__ = ["against_baseline", "case_of", "check_baseline", "not_in", "ratio_of_runs"]

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
    cases = [case_of(item) for item in results.measurements]
    pairs = [
        (new, old)
        for new, case in zip(results.measurements, cases, strict=True)
        if _timed(new) and (old := _same(case, cases, baseline)) is not None
    ]
    if not pairs:
        raise _nothing_in_common()
    return tuple(_compared(new, old, baseline.date) for new, old in pairs)


def case_of(item: Measurement) -> Case:
    """What was measured."""
    return Case(item.artifact, item.target, item.scenario, item.threads, item.batch)


def not_in(baseline: Results, cases: Sequence[Case]) -> tuple[Case, ...]:
    """Those cases which an earlier run has nothing to compare with.

    Args:
        baseline: The earlier run.
        cases: What is to be measured, all of it.

    Raises:
        InputError: That are all of them.
    """
    lost = tuple(case for case in cases if _same(case, cases, baseline) is None)
    if len(lost) == len(cases):
        raise _nothing_in_common()
    return lost


def check_baseline(baseline: Results, package: str, machine: Machine) -> None:
    """Whether figures of a package on a machine may stand beside those of an earlier run.

    Raises:
        InputError: That was of another package or another machine, measured nothing, or its times are damaged.
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
    timed = [item.times for item in baseline.measurements if item.times is not None and _timed(item)]
    if not timed:
        raise InputError("The baseline holds no times.", fix="measure a new baseline.")
    if not all(np.median(unpack_times(times, "the baseline")) > 0 for times in timed):
        raise InputError("The baseline holds times of nothing at all.", fix="measure a new baseline.")


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


def _same(case: Case, cases: Sequence[Case], baseline: Results) -> Measurement | None:
    """The earlier measurement of the same; of the same batch, or of another where each run has but one."""

    def key(item: Case | Measurement) -> tuple[object, ...]:
        return item.artifact, item.target, item.scenario, item.threads

    if case.scenario == "server":
        return None
    alike = [item for item in baseline.measurements if key(item) == key(case) and _timed(item)]
    exact = [item for item in alike if item.batch == case.batch]
    if exact:
        return exact[0]
    # The offline batch is chosen by how fast the machine just was, and not yet known before.
    if case.batch is None:
        return alike[0] if alike else None
    alone = len(alike) == sum(key(item) == key(case) for item in cases) == 1
    return alike[0] if alone and case.scenario == "offline" else None


def _nothing_in_common() -> InputError:
    return InputError("The baseline has no measurement in common with this run.", fix="measure a new baseline.")


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
        what=str(case_of(new)),
        baseline=f"the run of {date}",
        ratio=ratio,
        verdict=verdict(ratio),
        rounds=_STRETCHES,
        conditions=new.conditions,
    )
