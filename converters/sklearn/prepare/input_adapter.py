"""Adaptation of scikit-learn models to the source's inputs, in place of a whole table."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import msgspec

from edgeml.core.conversion import TableSource
from edgeml.core.tensors import Signature

from .float32_thresholds import round_thresholds

__all__ = ["float64_variants", "select_input_columns", "with_float32_inputs"]

# Estimators that distinguish float64 rows, and whose converters do so too. Other trees round to float32 first.
_FLOAT64_ESTIMATORS = (
    "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor",
    "KNeighborsClassifier",
    "KNeighborsRegressor",
)


def with_float32_inputs(signature: Signature) -> Signature:
    """Return the signature with float64 inputs changed to float32."""
    inputs = tuple(
        msgspec.structs.replace(spec, dtype="float32") if spec.dtype == "float64" else spec for spec in signature.inputs
    )
    return Signature(inputs, signature.outputs)


def select_input_columns(model: Any, source: TableSource) -> Any:
    """Map the model's column selections to the source's inputs, in their order.

    Args:
        model: A copy of the source's model, changed in place.
        source: The source.

    Returns:
        The model.
    """
    from sklearn.compose import ColumnTransformer

    table = source.table
    input_index = {column.position: i for i, column in enumerate(table.columns)}
    selectors = table.selectors(model)
    for selector in selectors:
        indices = selector._transformer_to_input_indices  # noqa: SLF001  # scikit-learn has no public name for it
        for key in indices:
            indices[key] = [input_index[index] for index in indices[key] if index in input_index]
        selector.n_features_in_ = len(input_index)
        # Select by position, since column names require a data frame.
        selector.transformers_ = [(key, part, indices[key]) for key, part, _ in selector.transformers_]
        vars(selector).pop("feature_names_in_", None)
    if table.typed and not selectors and hasattr(model, "steps"):
        # skl2onnx concatenates input columns for the parts of a ColumnTransformer only.
        name, first = model.steps[0]
        transformer = ColumnTransformer([(name, first, list(input_index.values()))])
        transformer.transformers_ = [(name, first, [])]
        transformer._transformer_to_input_indices = {name: list(input_index.values())}  # noqa: SLF001  # as above
        model.steps[0] = (name, transformer)
    return model


def float64_variants(model: Any) -> Iterator[Any]:
    """Yield variants of a model that compute in float64 where its predictions depend on that, the most exact first.

    Numbers in tables, such as 101.3, often equal thresholds of trees, and float32 can move them to the other side.
    skl2onnx supports some estimators in float32 only, so that rows are cast before the last step or after the first.

    Args:
        model: The model; its thresholds are rounded in place.
    """
    from skl2onnx.sklapi import CastTransformer
    from sklearn.pipeline import Pipeline

    if hasattr(model, "regressor_"):
        for regressor in float64_variants(model.regressor_):
            variant = copy.copy(model)
            variant.regressor_ = regressor
            yield variant
        return
    steps = list(model.steps) if hasattr(model, "steps") else [("model", model)]
    if type(steps[-1][1]).__name__ in _FLOAT64_ESTIMATORS:
        yield model
    round_thresholds(model)
    for index in dict.fromkeys((len(steps) - 1, min(1, len(steps) - 1))):
        yield Pipeline([*steps[:index], ("float32", CastTransformer()), *steps[index:]])
