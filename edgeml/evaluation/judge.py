"""Verdicts from figures and goals. A missing figure never passes."""

from __future__ import annotations

import math

from edgeml.core.goal import DEFAULT_MAX_DROP, Goal, Remark, Verdict
from edgeml.core.recipe import Floor, Recipe
from edgeml.core.records.evidence import PERCENT_METRICS, Evaluation, Fidelity, Latency, format_drop
from edgeml.evaluation.fidelity import CENTERED_SLACK_DB, CONSTANT_ERROR, part_sqnr_db
from edgeml.evaluation.sample_size import samples_to_settle

__all__ = ["judge", "meets_floor", "missed_floors"]

_NOISE_SLACK_DB = 6.0  # below the source's own noise, which another order of sums doubles
_PART_SLACK_DB = 5.0  # for columns apart, and for the median sample
_MAX_TIED = 0.01  # share of samples up to which the verdict does not mention them
_PROVES_LITTLE = "the source's outputs are the same for all samples, which proves little"
_NO_NOISE = Fidelity(0, math.inf, math.inf, 0.0)
# Tolerated loss when the source itself is cast to float32: the parity floor of fp16 recipes.
_FLOAT32_FLOOR = Floor(40.0, 0.99)


def judge(
    recipe: Recipe,
    goal: Goal,
    evaluation: Evaluation,
    *,
    size_bytes: int,
    latency: Latency | None,
    classifies: bool,
    labelled: bool,
    float32_fidelity: Fidelity | None = None,
    computes: str = "",
    noise: Fidelity | None = None,
) -> Verdict:
    """Return the verdict on an artifact: whether it meets the recipe's floor and the goal.

    Args:
        recipe: Recipe of the artifact.
        goal: Goal of the user.
        evaluation: Figures of the artifact.
        size_bytes: Size of the artifact's file.
        latency: Measured latency, if any.
        classifies: Whether the source predicts labels, so that agreement is required.
        labelled: Whether true labels or targets exist and the task has a main metric, so that a drop is required.
        float32_fidelity: Fidelity of the source in float32 to the source itself, where these differ: on float64 inputs,
            or in the precision that the model computes in.
        computes: That precision, where it is not float32.
        noise: Fidelity of the source to itself on inputs moved by their last bits; None if unknown. Where it is below
            the floor, it is the floor.
    """
    floor = goal.floor(recipe.floor)
    reasons, remarks = _judge_outputs(
        evaluation.fidelity, floor, classifies=classifies, exact=recipe.precision == "fp32", noise=noise
    )
    if floor.sqnr_db < recipe.floor.sqnr_db or floor.agreement < recipe.floor.agreement:
        remarks.append(Remark("the parity floors were lowered by the goal"))
    if float32_fidelity is not None:
        _judge_float32_fidelity(float32_fidelity, computes, reasons, remarks)
    samples = None
    if labelled:
        samples = _judge_drop(
            evaluation, DEFAULT_MAX_DROP if goal.max_drop is None else goal.max_drop, reasons, remarks
        )
    else:
        remarks.append(Remark("accuracy was not measured"))
        if goal.max_drop is not None:
            reasons.append("the goal bounds the drop, but no drop was measured")
    if goal.max_size_bytes is not None and size_bytes > goal.max_size_bytes:
        reasons.append(f"the size of {size_bytes} bytes is more than {goal.max_size_bytes}")
    if goal.max_p95_ms is not None and (latency is None or not latency.p95_ms <= goal.max_p95_ms):
        reasons.append(
            "the p95 latency was not measured"
            if latency is None
            else f"the p95 latency of {latency.p95_ms:.3g} ms is more than {goal.max_p95_ms:g} ms"
        )
    return Verdict("rejected" if reasons else "released", tuple(reasons), tuple(map(str, remarks)), samples)


def meets_floor(recipe: Recipe, goal: Goal, fidelity: Fidelity, *, classifies: bool) -> bool:
    """Return whether outputs are as near to the source's as the recipe and the goal require."""
    return not missed_floors(recipe, goal, fidelity, classifies=classifies)


def missed_floors(
    recipe: Recipe, goal: Goal, fidelity: Fidelity, *, classifies: bool, noise: Fidelity | None = None
) -> list[str]:
    """Return the floors of the recipe and the goal that outputs miss, as reasons; arguments as for `judge`."""
    floor = goal.floor(recipe.floor)
    return _judge_outputs(fidelity, floor, classifies=classifies, exact=recipe.precision == "fp32", noise=noise)[0]


def _judge_float32_fidelity(fidelity: Fidelity, computes: str, reasons: list[str], remarks: list[Remark]) -> None:
    """Judge what the source itself loses in float32."""
    worst = fidelity.worst_integers
    figures = [] if fidelity.only_integers else [f"SQNR {fidelity.sqnr_db:.1f} dB"]
    figures += [] if worst is None else [f"{worst.equal:.2%} of the integers in '{worst.output}' are equal"]
    effect = (
        f"{fidelity.flips} of {fidelity.labels or fidelity.samples} labels differ"
        if fidelity.flips is not None
        else "the outputs differ"
    ) + f" ({', '.join(figures)})"
    text = (
        f"the model computes in {computes}, and artifacts are judged against the same weights in float32, for which "
        f"{effect}"
        if computes
        else f"artifacts take float32 inputs; for the source itself, {effect} from those for the float64 inputs; "
        "subtract an offset from large inputs"
    )
    centered = fidelity.sqnr_db if fidelity.centred_sqnr_db is None else fidelity.centred_sqnr_db + CENTERED_SLACK_DB
    is_near = fidelity.only_integers or min(fidelity.sqnr_db, centered) >= _FLOAT32_FLOOR.sqnr_db
    shares = (fidelity.agreement, None if worst is None else worst.equal)
    if not is_near or not all(share is None or share >= _FLOAT32_FLOOR.agreement for share in shares):
        reasons.append(f"{text}; save the model in float32 to make that the reference" if computes else text)
    elif fidelity.flips or computes:
        remarks.append(Remark(text))


def _judge_outputs(
    fidelity: Fidelity, floor: Floor, *, classifies: bool, exact: bool, noise: Fidelity | None = None
) -> tuple[list[str], list[Remark]]:
    """Judge outputs of integers by their equality, and the others by ratios and labels."""
    own = noise or _NO_NOISE
    judged = [_judge_integers(fidelity, floor, own)]
    if classifies or not fidelity.only_integers:
        judged.append(_judge_fidelity(fidelity, floor, own, exact=exact))
    if classifies:
        judged.append(_judge_labels(fidelity, floor, own))
    return [each for reasons, _ in judged for each in reasons], [each for _, remarks in judged for each in remarks]


def _judge_fidelity(fidelity: Fidelity, floor: Floor, own: Fidelity, *, exact: bool) -> tuple[list[str], list[Remark]]:
    """Judge outputs by ratios of signal to noise."""
    reasons: list[str] = []
    remarks: list[Remark] = []
    lowered: list[float] = []

    def bound(figure_db: float, noise_db: float | None) -> float:
        """Return the floor of a figure, or the source's own noise where that is lower."""
        if noise_db is None or noise_db - _NOISE_SLACK_DB >= figure_db:
            return figure_db
        lowered.append(noise_db)
        return noise_db - _NOISE_SLACK_DB

    is_constant = fidelity.centred_sqnr_db is None
    if is_constant:
        remarks.append(Remark(_PROVES_LITTLE))
    sqnr_db = bound(floor.sqnr_db, own.sqnr_db)
    if is_constant and exact:
        if not fidelity.max_error <= CONSTANT_ERROR:
            reasons.append(f"the constant output is off by {fidelity.max_error:.2g}, more than {CONSTANT_ERROR:g}")
    elif not fidelity.sqnr_db >= sqnr_db:
        reasons.append(f"SQNR of {fidelity.sqnr_db:.1f} dB is below {sqnr_db:.3g} dB")
    centered_db = bound(floor.sqnr_db - CENTERED_SLACK_DB, own.centred_sqnr_db)
    if fidelity.centred_sqnr_db is not None and not fidelity.centred_sqnr_db >= centered_db:
        reasons.append(f"SQNR of {fidelity.centred_sqnr_db:.1f} dB about the mean is below {centered_db:.3g} dB")
    part = fidelity.worst_part
    part_db = bound(floor.sqnr_db - _PART_SLACK_DB, part_sqnr_db(own.worst_part) if own.worst_part else None)
    if part is not None and not part_sqnr_db(part) >= part_db:
        reasons.append(
            f"SQNR of {part_sqnr_db(part):.1f} dB in {part.columns} of '{part.output}', whose range is not that of the "
            f"others, is below {part_db:.3g} dB"
        )
    sample_db = bound(floor.sqnr_db - _PART_SLACK_DB, own.sample_sqnr_db)
    if fidelity.sample_sqnr_db is not None and not (is_constant or fidelity.sample_sqnr_db >= sample_db):
        reasons.append(
            f"SQNR of half of the samples is {fidelity.sample_sqnr_db:.1f} dB or less, below {sample_db:.3g} dB"
        )
    if lowered:
        remarks.append(
            Remark(
                f"the source's own answers to inputs moved by one last bit differ by {min(lowered):.1f} dB: this noise "
                "is the floor"
            )
        )
    return reasons, remarks


def _judge_labels(fidelity: Fidelity, floor: Floor, own: Fidelity) -> tuple[list[str], list[Remark]]:
    """Judge labels by the share of those that are the source's, where its scores do not tie."""
    reasons: list[str] = []
    remarks: list[Remark] = []
    count = fidelity.labels or fidelity.samples
    if (fidelity.tied or 0) > _MAX_TIED * count:
        remarks.append(
            Remark(
                f"the labels of {fidelity.tied} of {fidelity.samples} samples are not judged: the source's best scores "
                "tie there"
                if fidelity.labels is None
                else f"{fidelity.tied} of {count} labels are not judged: the source's best scores tie there"
            )
        )
    least_agreement = floor.agreement
    if own.agreement is not None and own.agreement < least_agreement:
        least_agreement = own.agreement
        remarks.append(
            Remark(
                f"the source itself gives other labels to {1 - own.agreement:.2%} of inputs moved by one last bit: "
                "this noise is the floor of the agreement"
            )
        )
    if fidelity.agreement is None:
        reasons.append("agreement could not be measured: the source's scores are tied on every sample")
    elif not fidelity.agreement >= least_agreement:
        place = f" in '{fidelity.agreement_of}'" if fidelity.agreement_of is not None else ""
        reasons.append(
            f"agreement of {fidelity.agreement:.2%}{place}, {fidelity.flips} flips, is below "
            f"{100 * least_agreement:.4g}%"
        )
    return reasons, remarks


def _judge_integers(fidelity: Fidelity, floor: Floor, own: Fidelity) -> tuple[list[str], list[Remark]]:
    """Judge outputs of integers, by the share of elements that equal the source's."""
    worst, noise = fidelity.worst_integers, own.worst_integers
    if worst is None:
        return [], []
    remarks, least = [], floor.agreement
    if fidelity.only_integers and fidelity.centred_sqnr_db is None:
        remarks.append(Remark(_PROVES_LITTLE))
    if noise is not None and noise.equal < least:
        least = noise.equal
        remarks.append(
            Remark(
                f"the source itself gives {1 - noise.equal:.2%} other integers in '{noise.output}' for inputs moved by "
                "one last bit: this noise is the floor of their equality"
            )
        )
    if worst.equal >= least:
        return [], remarks
    return [
        f"{worst.equal:.2%} of the integers in '{worst.output}' equal the source's, below {100 * least:.4g}%"
    ], remarks


def _judge_drop(evaluation: Evaluation, bound: float, reasons: list[str], remarks: list[Remark]) -> int | None:
    """Judge the drop; returns the number of samples that would settle an open verdict."""
    drop = evaluation.drop
    if drop is None:
        reasons.append("the drop is not defined on these data")
        return None
    goal = f"{100 * bound:g}%" if drop.metric in PERCENT_METRICS else f"{bound:g}"
    if not drop.value <= bound:
        verb = "rises" if drop.metric == "relative_mse" else "drops"  # of an error, larger is worse
        place = f" of '{drop.output}'" if drop.output is not None else ""
        reasons.append(f"{drop.metric}{place} {verb} by {format_drop(drop.value, drop.metric)}, more than {goal}")
    if not drop.low <= bound < drop.high:
        return None
    low, high = (format_drop(end, drop.metric) for end in (drop.low, drop.high))
    samples = samples_to_settle(drop, bound, evaluation.fidelity.samples, evaluation.mcnemar)
    outlook = (
        "no number of samples would settle it, because the drop equals the goal"
        if samples is None
        else f"about {int(float(f'{samples:.2g}')):,} samples like these would settle it"
    )
    remarks.append(
        Remark(
            f"the 95% interval of the drop, {low} to {high}, contains the goal of {goal}; {outlook}",
            "open",
        )
    )
    return samples
