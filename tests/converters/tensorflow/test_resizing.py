"""Resizing by area and by bicubic splines, which neither tool converts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.keras_cases import Converted, samples


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
def test_images_are_resized_as_by_keras(convertible: Callable[[str], Converted], recipe: str) -> None:
    converted = convertible("resized")
    assert {spec.name for spec in converted.info.signature.outputs} == {"nearest", "bilinear", "bicubic", "area"}
    converted.check(recipe, samples(converted.info, 8))
    assert not {"ResizeArea", "ResizeBicubic"} & set(converted[recipe].needs.operators)
