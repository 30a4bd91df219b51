"""Registry of edgeml's conversion functions for skl2onnx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ._shapes import infer_shapes, propagate_shape
from .bins import bin_converters
from .calibrated_classifiers import calibrated_converters
from .category_encoders import encoder_converters
from .column_selection import selection_converters
from .dummies import dummy_converters
from .function_transformer import function_converters
from .gaussian_process import gaussian_process_converters
from .hist_gradient_boosting import histogram_converters
from .imputers import missing_converters
from .isotonic_and_splines import interpolated_converters
from .k_neighbors import neighbor_converters
from .kernel_approximation import random_feature_converters
from .kernel_methods import kernel_converters
from .linear_maps import affine_converters
from .meta_estimators import composed_converters
from .nearest_center import center_converters
from .quadratic_discriminant import discriminant_converters
from .quantile_transformer import quantile_converters
from .radius_neighbors import radius_converters
from .scalers import scaling_converters
from .text_vectorizers import text_converters
from .trees_and_forests import forest_converters

__all__ = ["conversion_functions", "register_with_skl2onnx"]


def conversion_functions() -> dict[type, Any]:
    """Return edgeml's conversion functions by estimator class."""
    return {
        **affine_converters(),
        **bin_converters(),
        **calibrated_converters(),
        **center_converters(),
        **composed_converters(),
        **discriminant_converters(),
        **dummy_converters(),
        **encoder_converters(),
        **forest_converters(),
        **function_converters(),
        **gaussian_process_converters(),
        **histogram_converters(),
        **interpolated_converters(),
        **kernel_converters(),
        **missing_converters(),
        **neighbor_converters(),
        **quantile_converters(),
        **radius_converters(),
        **random_feature_converters(),
        **scaling_converters(),
        **selection_converters(),
        **text_converters(),
    }


@contextmanager
def register_with_skl2onnx(functions: Mapping[type, Any]) -> Iterator[None]:
    """Register estimators temporarily, so that skl2onnx's converters for voting, stacking etc. support them."""
    from skl2onnx import update_registered_converter
    from skl2onnx._supported_operators import sklearn_operator_name_map as names
    from skl2onnx.common._registration import _converter_pool, _shape_calculator_pool

    patched = "SklearnFunctionTransformer"
    aliases = {estimator: f"Edgeml{estimator.__name__}" for estimator in functions if estimator not in names}
    for estimator, alias in aliases.items():
        update_registered_converter(estimator, alias, infer_shapes, functions[estimator])
    original = _shape_calculator_pool[patched]
    _shape_calculator_pool[patched] = propagate_shape  # skl2onnx's own rejects functions
    try:
        yield
    finally:
        _shape_calculator_pool[patched] = original
        for estimator, alias in aliases.items():
            del names[estimator], _converter_pool[alias], _shape_calculator_pool[alias]
