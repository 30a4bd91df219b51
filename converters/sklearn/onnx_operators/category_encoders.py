"""Encoders of categories as ONNX: a table of what the encoder itself gives for each, and one for all others.

skl2onnx takes numbers for integers. Missing text is "" here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, Nodes, Operator, Scope

__all__ = ["encoder_converters"]

_UNKNOWN_TEXT = "\x00"


def encoder_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

    return dict.fromkeys((OneHotEncoder, OrdinalEncoder, TargetEncoder), _encoder)


def _encoder(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    made = [
        nodes("Gather", nodes.number(codes), _places(nodes, operator, number))
        for number, codes in enumerate(_tables(model))
    ]
    nodes.give(nodes("Concat", *made, axis=1), operator.outputs[0])


def _tables(model: Any) -> list[np.ndarray]:
    """For each column what the encoder gives for each category, and in the last row for a value that is none."""
    firsts = [categories[0] for categories in model.categories_]
    kind = np.float64 if all(np.asarray(found).dtype.kind in "biuf" for found in model.categories_) else object
    closed = getattr(model, "handle_unknown", "ignore") == "error"
    widths = getattr(model, "_n_features_outs", None)  # of one-hot columns; scikit-learn has no public name for it
    tables = []
    for number, categories in enumerate(model.categories_):
        values = [*categories, *([] if closed else [_unknown(categories)])]
        rows = np.array([firsts] * len(values), dtype=kind)
        rows[:, number] = values
        given = model.transform(rows)
        given = np.asarray(given.toarray() if hasattr(given, "toarray") else given, dtype=np.float64)
        ends = np.cumsum(widths or [given.shape[1] // len(firsts)] * len(firsts))
        part = given[:, ends[number] - (widths[number] if widths else ends[0]) : ends[number]]
        # Where scikit-learn raises, NaN tells that there is no answer.
        tables.append(np.vstack([part, np.full((1, part.shape[1]), np.nan)]) if closed else part)
    return tables


def _is_gap(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _unknown(categories: np.ndarray) -> Any:
    values = np.asarray(categories)
    if values.dtype.kind not in "biuf":
        return _UNKNOWN_TEXT
    known = values[np.isfinite(values)].astype(np.float64)
    return float(np.floor(np.abs(known).max(initial=0.0))) + 1.0


def _places(nodes: Nodes, operator: Any, number: int) -> str:
    """The position ``[batch]`` of each value of a column among its categories; -1, the last, for others."""
    from skl2onnx.common.data_types import StringTensorType

    model = operator.raw_operator
    categories = model.categories_[number]
    whole = len(operator.inputs) == 1
    given = operator.inputs[0 if whole else number]
    column = nodes.columns(given.full_name, [number]) if whole and len(model.categories_) > 1 else given.full_name
    text = isinstance(given.type, StringTensorType)
    if text != any(isinstance(value, str) for value in categories):
        raise UnsupportedModelError(
            f"The {type(model).__name__} was trained on {'numbers' if text else 'text'}, and is given "
            f"{'text' if text else 'numbers'} here.",
            fix="train it on what the column holds.",
        )
    flat = nodes.constant(np.array([-1]))
    if text:
        keys = ["" if _is_gap(value) else value for value in categories]
        if len(set(keys)) != len(keys) or not all(isinstance(key, str) for key in keys):
            raise UnsupportedModelError(
                "An encoder knows gaps and empty text, or text and numbers, as categories of one column.",
                fix="train it on a column of one kind.",
            )
        return nodes("Reshape", nodes.label_codes(column, keys), flat)
    values = np.asarray(categories, dtype=np.float64)
    column = nodes.double(column)
    hits = nodes("Equal", column, nodes.number(np.where(np.isnan(values), np.inf, values)))
    if np.isnan(values).any():
        missing = nodes("And", nodes("IsNaN", column), nodes.constant(np.isnan(values)))
        hits = nodes("Or", hits, missing)
    hits = nodes("Cast", hits, to=DOUBLE)
    none = nodes("Equal", nodes.total(hits, 1, keepdims=0), nodes.number(0.0))
    return nodes("Where", none, flat, nodes("ArgMax", hits, axis=1, keepdims=0))
