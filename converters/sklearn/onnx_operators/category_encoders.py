"""Category encoders as ONNX: a lookup table of the encoder's own codes, with a row for unknown categories.

skl2onnx's converters treat numeric categories as integers. A missing string is "" here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, GraphBuilder, Operator, Scope

__all__ = ["encoder_converters"]

_UNKNOWN_TEXT = "\x00"


def encoder_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

    return dict.fromkeys((OneHotEncoder, OrdinalEncoder, TargetEncoder), _encoder)


def _encoder(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    encoded = [
        graph("Gather", graph.number(codes), _category_index(graph, operator, index))
        for index, codes in enumerate(_code_tables(model))
    ]
    graph.write_output(graph("Concat", *encoded, axis=1), operator.outputs[0])


def _code_tables(model: Any) -> list[np.ndarray]:
    """Return the encoder's codes for each column: one row per category, and a last row for unknown values."""
    firsts = [categories[0] for categories in model.categories_]
    dtype = (
        np.float64 if all(np.asarray(categories).dtype.kind in "biuf" for categories in model.categories_) else object
    )
    strict = getattr(model, "handle_unknown", "ignore") == "error"
    widths = getattr(model, "_n_features_outs", None)  # number of one-hot columns; no public attribute
    tables = []
    for index, categories in enumerate(model.categories_):
        values = [*categories, *([] if strict else [_unknown_value(categories)])]
        rows = np.array([firsts] * len(values), dtype=dtype)
        rows[:, index] = values
        outputs = model.transform(rows)
        outputs = np.asarray(outputs.toarray() if hasattr(outputs, "toarray") else outputs, dtype=np.float64)
        ends = np.cumsum(widths or [outputs.shape[1] // len(firsts)] * len(firsts))
        part = outputs[:, ends[index] - (widths[index] if widths else ends[0]) : ends[index]]
        # NaN marks values for which scikit-learn raises an exception.
        tables.append(np.vstack([part, np.full((1, part.shape[1]), np.nan)]) if strict else part)
    return tables


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _unknown_value(categories: np.ndarray) -> Any:
    values = np.asarray(categories)
    if values.dtype.kind not in "biuf":
        return _UNKNOWN_TEXT
    known = values[np.isfinite(values)].astype(np.float64)
    return float(np.floor(np.abs(known).max(initial=0.0))) + 1.0


def _category_index(graph: GraphBuilder, operator: Any, index: int) -> str:
    """Return each value's index ``[batch]`` among its column's categories; -1, the last row, for unknown values."""
    from skl2onnx.common.data_types import StringTensorType

    model = operator.raw_operator
    categories = model.categories_[index]
    single_table = len(operator.inputs) == 1
    variable = operator.inputs[0 if single_table else index]
    column = (
        graph.gather_columns(variable.full_name, [index])
        if single_table and len(model.categories_) > 1
        else variable.full_name
    )
    is_text = isinstance(variable.type, StringTensorType)
    if is_text != any(isinstance(value, str) for value in categories):
        raise UnsupportedModelError(
            f"{type(model).__name__}: trained on {'numbers' if is_text else 'strings'}, but the column contains "
            f"{'strings' if is_text else 'numbers'}.",
            fix="train it on the column's type.",
        )
    minus_one = graph.constant(np.array([-1]))
    if is_text:
        keys = ["" if _is_missing(value) else value for value in categories]
        if len(set(keys)) != len(keys) or not all(isinstance(key, str) for key in keys):
            raise UnsupportedModelError(
                f"{type(model).__name__}: a column with missing values and empty strings, or with strings and numbers, "
                "is not supported.",
                fix="train it on a column of one type.",
            )
        return graph("Reshape", graph.encode_labels(column, keys), minus_one)
    values = np.asarray(categories, dtype=np.float64)
    column = graph.double(column)
    hits = graph("Equal", column, graph.number(np.where(np.isnan(values), np.inf, values)))
    if np.isnan(values).any():
        missing = graph("And", graph("IsNaN", column), graph.constant(np.isnan(values)))
        hits = graph("Or", hits, missing)
    hits = graph("Cast", hits, to=DOUBLE)
    unknown = graph("Equal", graph.reduce_sum(hits, 1, keepdims=0), graph.number(0.0))
    return graph("Where", unknown, minus_one, graph("ArgMax", hits, axis=1, keepdims=0))
