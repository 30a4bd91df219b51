"""Short forms of build()'s goal and recipes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeml.core.errors import InputError
from edgeml.core.goal import Goal
from edgeml.core.recipe import RECIPES
from edgeml.pipeline.arguments import convert_goal, select_recipes


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (None, Goal()),
        ({}, Goal()),
        (Goal(max_drop=0.02), Goal(max_drop=0.02)),
        ({"max_drop": 0.01}, Goal(max_drop=0.01)),
        ({"max_drop": "1%"}, Goal(max_drop=0.01)),
        ({"max_drop": "0.01"}, Goal(max_drop=0.01)),
        ({"max_drop": np.float32(0.25), "max_size_bytes": np.int64(1000)}, Goal(max_drop=0.25, max_size_bytes=1000)),
        ({"min_agreement": "99%", "lower_floors": True}, Goal(min_agreement=0.99, lower_floors=True)),
    ],
)
def test_goals_are_taken_as_values_and_as_dicts(goal: Any, expected: Goal) -> None:
    assert convert_goal(goal) == expected


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ({"maxdrop": 0.01}, "unknown key 'maxdrop'.*did you mean 'max_drop'"),
        ({3: 0.01}, "unknown key 3"),
        ({"max_drop": "much"}, "max_drop is 'much', expected a number such as 0.01 or '1%'"),
        ({"max_drop": [1]}, "goal: "),
        ({"max_drop": -0.1}, "max_drop is -0.1"),
        ({"max_drop": 1}, r"max_drop: got 1, expected less than 0.5 \(50%\).*1% or 0.01"),
        (Goal(max_drop=0.5), "max_drop: got 0.5, expected less than 0.5"),
        ("max_drop=0.01", "expected a Goal or a dict, got str"),
        (0.01, "expected a Goal or a dict, got float"),
    ],
)
def test_goals_that_are_not_valid_are_refused(goal: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        convert_goal(goal)


def test_recipes_are_taken_as_one_name_several_and_all() -> None:
    assert [recipe.id for recipe in select_recipes("tflite-fp32")] == ["tflite-fp32"]
    assert [recipe.id for recipe in select_recipes(iter(["onnx-int8", "tflite-int8"]))] == ["onnx-int8", "tflite-int8"]
    assert select_recipes(None) == RECIPES


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        ([], "recipes is empty"),
        ("", "recipe ''"),
        (["onnx-fp32", "onnx-fp32"], "recipes: 'onnx-fp32' is listed twice"),
        ("onnx-fp31", "'onnx-fp31'"),
    ],
)
def test_recipes_that_are_not_valid_are_refused(recipes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select_recipes(recipes)
