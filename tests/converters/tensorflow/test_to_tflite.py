"""What the TFLite converter cannot make, and what it would leave as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeml.core.errors import ConversionError, UnsupportedModelError
from tests.support.keras_cases import TFLITE, Converted

Convertible = Callable[[str], Converted]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", TFLITE)
def test_an_operator_that_tflite_lacks_is_named(convertible: Convertible, recipe: str) -> None:
    with pytest.raises(ConversionError, match=r"not supported in TFLite: tf\.Cumprod\(tensor<1x16xf32>") as caught:
        convertible("cumprod").convert(recipe)
    assert "Cumprod" in caught.value.log


@pytest.mark.parametrize("recipe", ["tflite-fp16", "tflite-dynamic"])
def test_a_recipe_that_would_leave_the_model_as_it_is_is_refused(convertible: Convertible, recipe: str) -> None:
    with pytest.raises(UnsupportedModelError, match="stored no weight as") as caught:
        convertible("parameter_free").convert(recipe)
    assert "fp32" in caught.value.fix
