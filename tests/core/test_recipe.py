from __future__ import annotations

import pytest

from edgeml.core.errors import InputError
from edgeml.core.recipe import RECIPES, find_recipe


def test_there_are_nine_in_the_order_of_the_documents() -> None:
    assert " ".join(recipe.id for recipe in RECIPES) == (
        "tflite-fp32 tflite-fp16 tflite-dynamic tflite-int8 tflite-int16x8 onnx-fp32 onnx-fp16 onnx-dynamic onnx-int8"
    )


@pytest.mark.parametrize(
    ("precision", "sqnr_db", "agreement"),
    [("fp32", 90, 1.0), ("fp16", 40, 0.99), ("int16x8", 25, 0.98), ("dynamic", 15, 0.95), ("int8", 15, 0.95)],
)
def test_floors_are_the_stated_ones(precision: str, sqnr_db: float, agreement: float) -> None:
    found = [recipe for recipe in RECIPES if recipe.precision == precision]
    assert found
    assert {(recipe.floor.sqnr_db, recipe.floor.agreement) for recipe in found} == {(sqnr_db, agreement)}


def test_what_fixes_the_range_of_activations_needs_calibration() -> None:
    assert {recipe.id for recipe in RECIPES if recipe.needs_calibration} == {
        "tflite-int8",
        "tflite-int16x8",
        "onnx-int8",
    }


def test_ids_are_format_and_precision() -> None:
    for recipe in RECIPES:
        assert recipe.id == f"{recipe.format}-{recipe.precision}"
        assert find_recipe(recipe.id) is recipe


@pytest.mark.parametrize("name", ["", "tflite", "TFLITE-INT8", "onnx-int16x8", "int8"])
def test_an_unknown_one_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(InputError, match="Unknown recipe") as caught:
        find_recipe(name)
    assert all(recipe.id in caught.value.fix for recipe in RECIPES)
