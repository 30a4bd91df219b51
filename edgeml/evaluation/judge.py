"""From figures and goals to a verdict. A figure that is missing never passes."""

from __future__ import annotations

from edgeml.core.goal import DEFAULT_MAX_DROP, Goal, Remark, Verdict
from edgeml.core.recipe import Floor, Recipe
from edgeml.core.records.evidence import Evaluation, Fidelity, Latency
from edgeml.evaluation.fidelity import CONSTANT_ERROR
from edgeml.evaluation.settling import samples_to_settle

__all__ = ["judge", "meets_floor"]

_CENTRED_SLACK_DB = 5.0
# What a source may lose in float32: as much as a recipe of float16 may lose in all.
_NARROWING_FLOOR = Floor(40.0, 0.99)


def judge(
    recipe: Recipe,
    goal: Goal,
    evaluation: Evaluation,
    *,
    size_bytes: int,
    latency: Latency | None,
    classifies: bool,
    labelled: bool,
    narrowing: Fidelity | None = None,
    computes: str = "",
) -> Verdict:
    """Whether an artifact meets the recipe's floor and the goal.

    Args:
        recipe: The artifact's.
        goal: The user's.
        evaluation: The artifact's figures.
        size_bytes: Size of its file.
        latency: What was measured, if it was.
        classifies: Whether the source gives labels, so that agreement is due.
        labelled: Whether true labels or targets were there and the task has a main metric, so that a drop is due.
        narrowing: The source in float32 against the source as it is: on the float64 inputs that were given, or
            computing in what it was made for, where these differ.
        computes: The latter, where it is not float32.
    """
    floor = goal.floor(recipe.floor)
    reasons, remarks = _fidelity(evaluation.fidelity, floor, classifies=classifies, exact=recipe.precision == "fp32")
    if floor.sqnr_db < recipe.floor.sqnr_db or floor.agreement < recipe.floor.agreement:
        remarks.append(Remark("the parity floors were lowered by the goal"))
    if narrowing is not None:
        _narrowing(narrowing, computes, reasons, remarks)
    settling = None
    if labelled:
        settling = _drop(evaluation, DEFAULT_MAX_DROP if goal.max_drop is None else goal.max_drop, reasons, remarks)
    else:
        remarks.append(Remark("accuracy was not measured"))
        if goal.max_drop is not None:
            reasons.append("no drop was measured, and the goal bounds it")
    if goal.max_size_bytes is not None and size_bytes > goal.max_size_bytes:
        reasons.append(f"{size_bytes} bytes are more than {goal.max_size_bytes}")
    if goal.max_p95_ms is not None and (latency is None or not latency.p95_ms <= goal.max_p95_ms):
        found = (
            "was not measured" if latency is None else f"of {latency.p95_ms:.3g} ms is more than {goal.max_p95_ms:g} ms"
        )
        reasons.append(f"the p95 latency {found}")
    return Verdict("rejected" if reasons else "released", tuple(reasons), tuple(map(str, remarks)), settling)


def meets_floor(recipe: Recipe, goal: Goal, fidelity: Fidelity, *, classifies: bool) -> bool:
    """Whether outputs are as near to the source's as the recipe and the goal demand."""
    floor = goal.floor(recipe.floor)
    return not _fidelity(fidelity, floor, classifies=classifies, exact=recipe.precision == "fp32")[0]


def _narrowing(found: Fidelity, computes: str, reasons: list[str], remarks: list[Remark]) -> None:
    gives = (
        f"{found.flips} of {found.samples} other labels" if found.flips is not None else "other values"
    ) + f" (SQNR {found.sqnr_db:.1f} dB)"
    told = (
        f"the model computes in {computes}, artifacts are judged by the same weights in float32, which give {gives}"
        if computes
        else f"artifacts take float32, in which the source itself gives {gives} than for the float64 that was given; "
        "take an offset off large inputs"
    )
    centred = found.sqnr_db if found.centred_sqnr_db is None else found.centred_sqnr_db + _CENTRED_SLACK_DB
    if not min(found.sqnr_db, centred) >= _NARROWING_FLOOR.sqnr_db or (
        found.agreement is not None and not found.agreement >= _NARROWING_FLOOR.agreement
    ):
        reasons.append(f"{told}; save the model in float32 to have that for the reference" if computes else told)
    elif found.flips or computes:
        remarks.append(Remark(told))


def _fidelity(found: Fidelity, floor: Floor, *, classifies: bool, exact: bool) -> tuple[list[str], list[Remark]]:
    reasons: list[str] = []
    remarks: list[Remark] = []
    if found.centred_sqnr_db is None:
        remarks.append(Remark("the source's outputs do not depend on the samples, which proves little"))
    if found.centred_sqnr_db is None and exact:
        if not found.max_error <= CONSTANT_ERROR:
            reasons.append(f"the constant output is off by {found.max_error:.2g}, more than {CONSTANT_ERROR:g}")
    elif not found.sqnr_db >= floor.sqnr_db:
        reasons.append(f"SQNR of {found.sqnr_db:.1f} dB is below {floor.sqnr_db:g} dB")
    if found.centred_sqnr_db is not None and not found.centred_sqnr_db >= floor.sqnr_db - _CENTRED_SLACK_DB:
        reasons.append(
            f"SQNR of {found.centred_sqnr_db:.1f} dB about the mean is below {floor.sqnr_db - _CENTRED_SLACK_DB:g} dB"
        )
    if classifies and found.agreement is None:
        reasons.append("agreement could not be measured: the source is tied on every sample")
    elif classifies and found.agreement is not None and not found.agreement >= floor.agreement:
        reasons.append(f"agreement of {found.agreement:.2%}, {found.flips} flips, is below {100 * floor.agreement:g}%")
    return reasons, remarks


def _drop(evaluation: Evaluation, bound: float, reasons: list[str], remarks: list[Remark]) -> int | None:
    """Judges the drop; gives how many samples would settle it where it is open."""
    drop = evaluation.drop
    if drop is None:
        reasons.append("the drop is not defined on this data")
        return None
    if not drop.value <= bound:
        moves = "rises" if drop.metric == "relative_mse" else "drops"  # an error is worse where it is larger
        reasons.append(f"{drop.metric} {moves} by {drop.value:.4f}, more than {bound:g}")
    if not drop.low <= bound < drop.high:
        return None
    settling = samples_to_settle(drop, bound, evaluation.fidelity.samples, evaluation.mcnemar)
    told = (
        "no number of samples would settle it, for the drop is the goal"
        if settling is None
        else f"some {int(float(f'{settling:.2g}')):,} samples such as these would settle it"
    )
    remarks.append(
        Remark(
            f"the 95% interval of the drop, {drop.low:.4f} to {drop.high:.4f}, holds the goal of {bound:g}; {told}",
            "open",
        )
    )
    return settling
