"""What tf2onnx cannot convert."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeml.core.errors import ConversionError
from tests.support.keras_cases import ONNX, Converted


@pytest.mark.parametrize("recipe", ONNX)
def test_an_operator_that_onnx_lacks_is_named(convertible: Callable[[str], Converted], recipe: str) -> None:
    with pytest.raises(ConversionError, match="Operators that are not supported in ONNX: Imag, RFFT, Real"):
        convertible("spectrum").convert(recipe)
