"""Models as TensorFlow functions whose weights are constants."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeml.core.errors import UnsupportedModelError
from tests.support.keras_cases import Converted


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
def test_a_model_that_keeps_a_table_is_refused(convertible: Callable[[str], Converted], recipe: str) -> None:
    with pytest.raises(UnsupportedModelError, match=r"The model contains a lookup table \(LookupTableFind") as caught:
        convertible("lookup").convert(recipe)
    assert caught.value.fix.startswith("move the lookup out of the model")
