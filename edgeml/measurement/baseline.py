"""Comparison of results with an earlier run: what has become slower."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.records.benchmark_results import Comparison, Figure, Machine, Measurement, Results, unpack_times
from edgeml.measurement.cases import Case
from edgeml.measurement.comparison import judge_ratio

__all__ = ["case_of", "check_baseline", "compare_with_baseline", "missing_cases", "ratio_of_runs"]

_SEGMENTS = 12
# Memory layout differs between processes, and a single run does not show its effect on the times.
_PROCESS_SPREAD = 1.02


def compare_with_baseline(results: Results, baseline: Results) -> tuple[Comparison, ...]:
    """Divide the median time of each measurement by that of the same measurement in an earlier run.

    Measurements that only one run holds are skipped, and so is the server scenario: its latencies belong to whatever
    rate met the bound.

    Args:
        results: New run.
        baseline: Earlier run, of any version of the package, on the same machine.

    Raises:
        InputError: The baseline is of another package or machine, or does not share a measurement with the new run.
    """
    check_baseline(baseline, results.package.name, results.machine)
    cases = [case_of(item) for item in results.measurements]
    pairs = [
        (new, old)
        for new, case in zip(results.measurements, cases, strict=True)
        if _has_times(new) and (old := _find_match(case, cases, baseline)) is not None
    ]
    if not pairs:
        raise _nothing_in_common()
    return tuple(_compare(new, old, baseline.date) for new, old in pairs)


def case_of(item: Measurement) -> Case:
    """Return the case of a measurement."""
    return Case(item.artifact, item.target, item.scenario, item.threads, item.batch, tuple(item.sizes.items()))


def missing_cases(baseline: Results, cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the cases that an earlier run does not hold.

    Args:
        baseline: Earlier run.
        cases: All cases to measure.

    Raises:
        InputError: The earlier run holds none of the cases.
    """
    missing = tuple(case for case in cases if _find_match(case, cases, baseline) is None)
    if len(missing) == len(cases):
        raise _nothing_in_common()
    return missing


def check_baseline(baseline: Results, package: str, machine: Machine) -> None:
    """Check that figures of a package on a machine are comparable with those of an earlier run.

    Raises:
        InputError: The earlier run is of another package or machine, holds no times, or its times are corrupt.
    """
    if baseline.package.name != package:
        raise InputError(
            f"The baseline is of package '{baseline.package.name}', expected '{package}'.",
            fix="give the results of an earlier run of this package.",
        )
    for name in ("model", "cpu", "cores", "device"):
        current, earlier = getattr(machine, name), getattr(baseline.machine, name)
        if current != earlier:
            raise InputError(
                f"The baseline was measured on another machine: its {name} is {earlier!r}, here it is {current!r}.",
                fix="measure a baseline on this machine.",
            )
    all_times = [item.times for item in baseline.measurements if item.times is not None and _has_times(item)]
    if not all_times:
        raise InputError("The baseline does not hold any times.", fix="measure a new baseline.")
    if not all(np.median(unpack_times(times, "the baseline")) > 0 for times in all_times):
        raise InputError("The baseline holds a median time of 0, expected more than 0.", fix="measure a new baseline.")


def ratio_of_runs(times: np.ndarray, baseline: np.ndarray, *, machine: float = 1.0) -> Figure:
    """Divide the median time of a run by that of a run at another time.

    A machine drifts between two runs as it does within one, and noise of this kind (1/f) does not average out: a
    whole run is hardly more precise than a part of it. The interval therefore covers 95% of the ratios of a twelfth of
    one run to a twelfth of the other, not divided by the root of their number. Both ends are widened by 2% for
    differences between processes, and by the change of the machine's own speed, since not all work slows down alike.

    Args:
        times: Time of each query ``[queries]``, in order.
        baseline: Time of each query of the earlier run ``[queries]``, in order.
        machine: Time of the reference workload in this run divided by its time in the earlier run.
    """
    ratio = float(np.median(times) / np.median(baseline))
    if min(len(times), len(baseline)) < 3 * _SEGMENTS:
        return Figure(ratio)
    current, earlier = (
        np.array([np.median(segment) for segment in np.array_split(run, _SEGMENTS)]) for run in (times, baseline)
    )
    low, high = np.quantile(np.divide.outer(current, earlier), [0.025, 0.975])
    margin = _PROCESS_SPREAD * max(machine, 1 / machine)
    return Figure(ratio, min(ratio, float(low)) / margin, max(ratio, float(high)) * margin)


def _find_match(case: Case, cases: Sequence[Case], baseline: Results) -> Measurement | None:
    """Return the earlier measurement of a case: of the same batch, or of any if each run has a single batch."""

    def key(item: Case | Measurement) -> tuple[object, ...]:
        return item.artifact, item.target, item.scenario, item.threads, dict(item.sizes)

    if case.scenario == "server":
        return None
    candidates = [item for item in baseline.measurements if key(item) == key(case) and _has_times(item)]
    exact = [item for item in candidates if item.batch == case.batch]
    if exact:
        return exact[0]
    # The offline batch depends on the speed of the machine, and is unknown before the run.
    if case.batch is None:
        return candidates[0] if candidates else None
    unique = len(candidates) == sum(key(item) == key(case) for item in cases) == 1
    return candidates[0] if unique and case.scenario == "offline" else None


def _nothing_in_common() -> InputError:
    return InputError("The baseline does not share a measurement with this run.", fix="measure a new baseline.")


def _has_times(item: Measurement) -> bool:
    return item.times is not None and item.times.count > 0


def _compare(new: Measurement, old: Measurement, date: str) -> Comparison:
    assert new.times is not None and old.times is not None
    current_us, earlier_us = new.conditions.yardstick_us, old.conditions.yardstick_us
    ratio = ratio_of_runs(
        unpack_times(new.times) / new.batch,
        unpack_times(old.times) / old.batch,
        machine=current_us / earlier_us if current_us and earlier_us and current_us > 0 and earlier_us > 0 else 1.0,
    )
    return Comparison(
        what=str(case_of(new)),
        baseline=f"the run of {date}",
        ratio=ratio,
        verdict=judge_ratio(ratio),
        rounds=_SEGMENTS,
        conditions=new.conditions,
    )
