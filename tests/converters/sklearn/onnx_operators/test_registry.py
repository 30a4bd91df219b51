"""Conversion functions of our own are known to skl2onnx while it converts, and no longer."""

from __future__ import annotations

from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common._registration import _converter_pool, _shape_calculator_pool
from sklearn.neighbors import NearestCentroid

from edgeml.converters.sklearn.onnx_operators._registry import conversion_functions, register_with_skl2onnx


def test_skl2onnx_is_left_as_it_was() -> None:
    tables = (sklearn_operator_name_map, _converter_pool, _shape_calculator_pool)
    before = [dict(entries) for entries in tables]
    assert NearestCentroid not in sklearn_operator_name_map
    with register_with_skl2onnx(conversion_functions()):
        assert NearestCentroid in sklearn_operator_name_map
    assert [dict(entries) for entries in tables] == before
