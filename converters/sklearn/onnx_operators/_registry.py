"""The conversion functions of our own, and how skl2onnx comes to know them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ._shapes import same_shape, shape_of
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
from .trees_and_forests import forest_converters

__all__ = ["known_to_skl2onnx", "own_routes"]


def own_routes() -> dict[type, Any]:
    """Conversion functions by class of model."""
    return {
        **affine_converters(),
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
    }


@contextmanager
def known_to_skl2onnx(routes: Mapping[type, Any]) -> Iterator[None]:
    """Lets its converters of voting, stacking and the like find the classes that it does not know, meanwhile."""
    from skl2onnx import update_registered_converter
    from skl2onnx._supported_operators import sklearn_operator_name_map as names
    from skl2onnx.common._registration import _converter_pool, _shape_calculator_pool

    known = "SklearnFunctionTransformer"
    new = {kind: f"Edgeml{kind.__name__}" for kind in routes if kind not in names}
    for kind, alias in new.items():
        update_registered_converter(kind, alias, shape_of, routes[kind])
    before, _shape_calculator_pool[known] = _shape_calculator_pool[known], same_shape  # its own takes no function
    try:
        yield
    finally:
        _shape_calculator_pool[known] = before
        for kind, alias in new.items():
            del names[kind], _converter_pool[alias], _shape_calculator_pool[alias]
