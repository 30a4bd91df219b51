"""The conversion functions of our own, and how skl2onnx comes to know them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .skl2onnx_shapes import same_shape, shape_of
from .sklearn_affine import affine_converters
from .sklearn_calibrated import calibrated_converters
from .sklearn_centers import center_converters
from .sklearn_composed import composed_converters
from .sklearn_discriminant import discriminant_converters
from .sklearn_dummies import dummy_converters
from .sklearn_encoders import encoder_converters
from .sklearn_forests import forest_converters
from .sklearn_functions import function_converters
from .sklearn_gaussian_process import gaussian_process_converters
from .sklearn_histograms import histogram_converters
from .sklearn_interpolated import interpolated_converters
from .sklearn_kernels import kernel_converters
from .sklearn_missing import missing_converters
from .sklearn_neighbors import neighbor_converters
from .sklearn_quantiles import quantile_converters
from .sklearn_radius import radius_converters
from .sklearn_random_features import random_feature_converters
from .sklearn_scaling import scaling_converters
from .sklearn_selection import selection_converters

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
