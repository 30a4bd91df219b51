"""scikit-learn models as equal models that read the source's inputs in place of a whole table."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import msgspec

from edgeml.core.conversion import TableSource
from edgeml.core.tensors import Signature

from .float32_thresholds import with_float32_thresholds

__all__ = ["in_float32", "reading_inputs", "wide_models"]

# What tells float64 rows apart that are one in float32, and has a route that does so too. Other trees round first.
_WIDE = (
    "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor",
    "KNeighborsClassifier",
    "KNeighborsRegressor",
)


def in_float32(signature: Signature) -> Signature:
    """The signature with numbers in float32."""
    inputs = tuple(
        msgspec.structs.replace(spec, dtype="float32") if spec.dtype == "float64" else spec for spec in signature.inputs
    )
    return Signature(inputs, signature.outputs)


def reading_inputs(model: Any, source: TableSource) -> Any:
    """The model with its columns selected among the inputs, in their order.

    Args:
        model: A copy: its parts are changed in place.
        source: Whose copy it is.
    """
    from sklearn.compose import ColumnTransformer

    table = source.table
    number = {column.position: i for i, column in enumerate(table.columns)}
    selectors = table.selectors(model)
    for selector in selectors:
        places = selector._transformer_to_input_indices  # noqa: SLF001  # scikit-learn has no public name for it
        for key in places:
            places[key] = [number[place] for place in places[key] if place in number]
        selector.n_features_in_ = len(number)
        # By position from here on: names are those of a data frame, of which there is none.
        selector.transformers_ = [(key, part, places[key]) for key, part, _ in selector.transformers_]
        vars(selector).pop("feature_names_in_", None)
    if table.typed and not selectors and hasattr(model, "steps"):
        # skl2onnx puts columns together for the part of a ColumnTransformer, and for no other.
        name, first = model.steps[0]
        whole = ColumnTransformer([(name, first, list(number.values()))])
        whole.transformers_ = [(name, first, [])]
        whole._transformer_to_input_indices = {name: list(number.values())}  # noqa: SLF001  # as above
        model.steps[0] = (name, whole)
    return model


def wide_models(model: Any) -> Iterator[Any]:
    """Models that compute in float64 as far as scikit-learn's answers depend on it, the most exact first.

    A table's numbers such as 101.3 lie on the thresholds of trees, and float32 moves them across. skl2onnx knows
    some estimators in float32 alone, so the rows are cast before the last step; or else after the first.

    Args:
        model: Its thresholds are rounded in place.
    """
    from skl2onnx.sklapi import CastTransformer
    from sklearn.pipeline import Pipeline

    if hasattr(model, "regressor_"):
        for regressor in wide_models(model.regressor_):
            changed = copy.copy(model)
            changed.regressor_ = regressor
            yield changed
        return
    steps = list(model.steps) if hasattr(model, "steps") else [("model", model)]
    if type(steps[-1][1]).__name__ in _WIDE:
        yield model
    with_float32_thresholds(model)
    for place in dict.fromkeys((len(steps) - 1, min(1, len(steps) - 1))):
        yield Pipeline([*steps[:place], ("float32", CastTransformer()), *steps[place:]])
