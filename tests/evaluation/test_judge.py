"""The verdict: each floor and each goal, on either side of its bound."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from edgeml.core.goal import Goal, Verdict
from edgeml.core.recipe import RECIPES, Recipe, find_recipe
from edgeml.core.records.evidence import Drop, Evaluation, Fidelity, IntegerFidelity, Latency
from edgeml.evaluation import judge

INT8 = find_recipe("tflite-int8")
FP32 = find_recipe("onnx-fp32")
# As DESIGN has them: SQNR in decibels and agreement.
FLOORS = {"fp32": (90, 1.0), "fp16": (40, 0.99), "int16x8": (25, 0.98), "dynamic": (15, 0.95), "int8": (15, 0.95)}


def verdict(
    recipe: Recipe = INT8,
    goal: Goal | None = None,
    *,
    sqnr: float = 200.0,
    centred: float | None = 200.0,
    error: float = 0.0,
    agreement: float | None = 1.0,
    drop: Drop | float | None = 0.0,
    size: int = 1000,
    latency: Latency | None = None,
    **kwargs: Any,
) -> Verdict:
    """The verdict on an artifact that is perfect but for what is said."""
    if isinstance(drop, float):
        drop = Drop("accuracy", drop, drop - 0.001, drop + 0.001, "Agresti-Min")
    evaluation = Evaluation(Fidelity(1000, sqnr, centred, error, agreement, 0), drop=drop)
    options = {"classifies": True, "labelled": True} | kwargs
    return judge(recipe, goal or Goal(), evaluation, size_bytes=size, latency=latency, **options)


def reason(found: Verdict) -> str:
    """The one reason of a rejection."""
    assert found.status == "rejected"
    (text,) = found.reasons
    return text


def test_the_perfect_artifact_is_released_without_a_word() -> None:
    assert verdict() == Verdict("released")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_every_recipe_has_the_designed_floors(recipe: Recipe) -> None:
    sqnr, agreement = FLOORS[recipe.precision]
    assert verdict(recipe, sqnr=sqnr, centred=sqnr - 5, agreement=agreement).released
    assert "SQNR" in reason(verdict(recipe, sqnr=sqnr - 0.1))
    assert "about the mean" in reason(verdict(recipe, centred=sqnr - 5.1))
    assert "agreement" in reason(verdict(recipe, agreement=agreement - 0.001))


def test_agreement_does_not_matter_where_nothing_is_classified() -> None:
    assert verdict(agreement=None, classifies=False).released


def test_missing_agreement_does_not_pass() -> None:
    assert "tied on every sample" in reason(verdict(agreement=None))


def test_a_figure_that_is_no_number_does_not_pass() -> None:
    nan = float("nan")
    for change in ({"sqnr": nan}, {"centred": nan}, {"agreement": nan}, {"drop": nan}):
        assert verdict(**change).status == "rejected"  # type: ignore[arg-type]
    assert verdict(FP32, centred=None, error=nan).status == "rejected"
    assert verdict(goal=Goal(max_p95_ms=1.0), latency=Latency(60, nan, nan)).status == "rejected"


def test_a_constant_reference_is_judged_by_absolute_error() -> None:
    found = verdict(FP32, sqnr=-200, centred=None, error=1e-6)
    assert found.released
    assert "proves little" in found.remarks[0]
    assert "constant" in reason(verdict(FP32, centred=None, error=1.1e-6))


def test_a_constant_reference_of_a_quantized_artifact_is_judged_by_plain_sqnr() -> None:
    assert verdict(sqnr=15, centred=None, error=0.1).released
    assert "SQNR" in reason(verdict(sqnr=14.9, centred=None, error=0.1))


def test_the_default_goal_bounds_the_drop_at_a_hundredth() -> None:
    assert verdict(drop=0.01).released
    assert "accuracy drops by 1.01%, more than 1%" in reason(verdict(drop=0.0101))


def test_an_error_is_said_to_rise() -> None:
    found = verdict(drop=Drop("relative_mse", 0.02, 0.019, 0.021, "bootstrap"), classifies=False, agreement=None)
    assert reason(found) == "relative_mse rises by 0.0200, more than 0.01"


@pytest.mark.parametrize("bound", [0.0, 0.005, 0.05])
def test_the_goal_bounds_the_drop(bound: float) -> None:
    assert verdict(goal=Goal(max_drop=bound), drop=bound).released
    assert "accuracy drops" in reason(verdict(goal=Goal(max_drop=bound), drop=bound + 0.0001))


def test_a_missing_drop_does_not_pass() -> None:
    assert "not defined" in reason(verdict(drop=None))
    assert "but no drop was measured" in reason(verdict(goal=Goal(max_drop=0.1), drop=None, labelled=False))


def test_without_labels_it_says_that_accuracy_was_not_measured() -> None:
    found = verdict(drop=None, labelled=False)
    assert found.released
    assert found.remarks == ("accuracy was not measured",)


@pytest.mark.parametrize(("value", "low", "high"), [(0.005, -0.01, 0.02), (0.02, 0.005, 0.03)])
def test_an_interval_that_straddles_the_goal_is_open(value: float, low: float, high: float) -> None:
    found = verdict(drop=Drop("accuracy", value, low, high, "Agresti-Min"))
    assert found.released is (value <= 0.01)  # the point decides
    (remark,) = found.remarks
    assert remark.startswith("open:")


@pytest.mark.parametrize(("value", "low", "high"), [(0.0, -0.01, 0.01), (0.05, 0.02, 0.08)])
def test_an_interval_on_one_side_of_the_goal_is_not_open(value: float, low: float, high: float) -> None:
    assert not verdict(drop=Drop("accuracy", value, low, high, "Agresti-Min")).remarks


def test_size() -> None:
    assert verdict(goal=Goal(max_size_bytes=1000)).released
    assert reason(verdict(goal=Goal(max_size_bytes=999))) == "the size of 1000 bytes is more than 999"


def test_latency() -> None:
    goal = Goal(max_p95_ms=2.0)
    assert verdict(goal=goal, latency=Latency(60, 1.0, 2.0)).released
    assert "2.01 ms is more than 2 ms" in reason(verdict(goal=goal, latency=Latency(60, 1.0, 2.01)))
    assert "was not measured" in reason(verdict(goal=goal))


def test_floors_are_raised() -> None:
    goal = Goal(min_sqnr_db=30, min_agreement=0.999)
    assert verdict(goal=goal, sqnr=30, centred=25, agreement=0.999).released
    assert "30 dB" in reason(verdict(goal=goal, sqnr=29.9))
    assert "25 dB" in reason(verdict(goal=goal, centred=24.9))
    assert "99.9%" in reason(verdict(goal=goal, agreement=0.998))


def test_floors_are_not_lowered_by_chance() -> None:
    goal = Goal(min_sqnr_db=1, min_agreement=0.1)
    assert verdict(goal=goal, sqnr=14.9).status == "rejected"
    assert verdict(goal=goal, agreement=0.94).status == "rejected"
    assert not verdict(goal=goal).remarks


def test_floors_are_lowered_explicitly_and_on_record() -> None:
    found = verdict(
        goal=Goal(min_sqnr_db=1, min_agreement=0.1, lower_floors=True), sqnr=1.0, centred=-4.0, agreement=0.1
    )
    assert found.released
    assert found.remarks == ("the parity floors were lowered by the goal",)


def test_nothing_is_said_of_floors_that_were_not_lowered() -> None:
    assert not verdict(goal=Goal(min_sqnr_db=20, lower_floors=True)).remarks


def test_every_reason_is_given() -> None:
    goal = Goal(max_size_bytes=1, max_p95_ms=0.1)
    found = verdict(goal=goal, sqnr=1, centred=1, agreement=0.5, drop=0.5, latency=Latency(60, 1, 1))
    words = ("SQNR", "about the mean", "agreement", "drops", "bytes", "latency")
    assert len(found.reasons) == len(words)
    assert all(word in text for word, text in zip(words, found.reasons, strict=True))


def test_one_flip_of_very_many_reads_as_what_it_is() -> None:
    evaluation = Evaluation(Fidelity(100_000, 200, 200, 0, 1 - 1e-5, 1), drop=Drop("accuracy", 0, 0, 0, ""))
    found = judge(FP32, Goal(), evaluation, size_bytes=1, latency=None, classifies=True, labelled=True)
    assert "1 flips" in reason(found)


def test_released_means_that_every_figure_is_there_and_holds() -> None:
    good: dict[str, list[Any]] = {"sqnr": [15.0, 14.0], "agreement": [0.95, 0.94, None], "drop": [0.01, 0.011, None]}
    for values in itertools.product(*good.values()):
        change = dict(zip(good, values, strict=True))
        assert verdict(**change).released is (values == (15.0, 0.95, 0.01))


def test_an_open_verdict_says_how_many_samples_would_settle_it() -> None:
    found = verdict(drop=Drop("r2", 0.005, -0.01, 0.02, "bootstrap of 1000"))  # of 1,000 samples
    assert found.samples_to_settle == pytest.approx(1000 * (0.015 / 0.005) ** 2, abs=1)
    assert found.remarks[0].endswith("contains the goal of 0.01; about 9,000 samples like these would settle it")
    assert verdict(drop=0.005).samples_to_settle is None  # its interval leaves the goal out


def test_a_drop_that_is_the_goal_is_settled_by_no_number_of_samples() -> None:
    found = verdict(drop=Drop("accuracy", 0.01, 0.0, 0.02, "Agresti-Min"))
    assert found.released
    assert found.samples_to_settle is None
    assert "no number of samples would settle it" in found.remarks[0]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_integers_are_held_to_the_floor_of_agreement(recipe: Recipe) -> None:
    least = FLOORS[recipe.precision][1]

    def judged(equal: float, noise: float | None = None) -> Verdict:
        integers, own = (IntegerFidelity("ids", share) for share in (equal, noise or 1.0))
        fidelity = Fidelity(1000, -200.0, -200.0, 9.0, worst_integers=integers, only_integers=True)
        moved = None if noise is None else Fidelity(1000, 200.0, 200.0, 0.0, worst_integers=own, only_integers=True)
        options: dict[str, Any] = {
            "size_bytes": 1,
            "latency": None,
            "classifies": False,
            "labelled": False,
            "noise": moved,
        }
        return judge(recipe, Goal(), Evaluation(fidelity), **options)

    assert judged(least).released  # whatever the ratio of the numbers is
    assert reason(judged(least - 0.001)).startswith(f"{least - 0.001:.2%} of the integers in 'ids' equal the source's")
    noisy = judged(least - 0.001, least - 0.01)
    assert noisy.released
    assert any("other integers in 'ids'" in remark for remark in noisy.remarks)


def test_integers_beside_floats_are_judged_as_well() -> None:
    fidelity = Fidelity(1000, 3.0, 3.0, 1.0, worst_integers=IntegerFidelity("ids", 0.5))
    found = judge(INT8, Goal(), Evaluation(fidelity), size_bytes=1, latency=None, classifies=False, labelled=False)
    assert len(found.reasons) == 3
    assert "'ids'" in found.reasons[0]
    assert all("dB" in text for text in found.reasons[1:])
