"""Encoders of categories that are numbers as ONNX; skl2onnx takes them for integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from .skl2onnx_nodes import DOUBLE, Nodes

__all__ = ["encoder_converters"]


def encoder_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

    return {OneHotEncoder: _one_hot, OrdinalEncoder: _ordinal, TargetEncoder: _target}


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = _rows(nodes, operator)
    dropped = [None] * len(model.categories_) if model.drop_idx_ is None else model.drop_idx_
    made = []
    for place, (categories, drop) in enumerate(zip(model.categories_, dropped, strict=True)):
        hits = _hits(nodes, rows, place, categories)
        if model.handle_unknown == "error":
            hits = _or_nan(nodes, hits, hits)
        kept = [number for number in range(len(categories)) if number != drop]
        made.append(nodes.columns(hits, kept))
    nodes.single(nodes("Concat", *made, axis=1), output=operator.outputs[0].full_name)


def _ordinal(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = _rows(nodes, operator)
    made = []
    for place, categories in enumerate(model.categories_):
        codes = np.where(np.isnan(categories), model.encoded_missing_value, np.arange(len(categories), dtype=float))
        hits = _hits(nodes, rows, place, categories)
        found = nodes("Gather", nodes.number(codes), nodes("ArgMax", hits, axis=1, keepdims=1))
        if model.handle_unknown == "error":
            made.append(_or_nan(nodes, hits, found))
        else:
            made.append(nodes("Where", _none(nodes, hits), nodes.number(model.unknown_value), found))
    nodes.single(nodes("Concat", *made, axis=1), output=operator.outputs[0].full_name)


def _target(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = _rows(nodes, operator)
    several = len(model.classes_) if model.target_type_ == "multiclass" else 1
    means = np.broadcast_to(np.atleast_1d(model.target_mean_), (several,))
    made = []
    for number, encodings in enumerate(model.encodings_):
        place, target = divmod(number, several)
        hits = _hits(nodes, rows, place, model.categories_[place])
        found = nodes("Gather", nodes.number(encodings), nodes("ArgMax", hits, axis=1, keepdims=1))
        made.append(nodes("Where", _none(nodes, hits), nodes.number(means[target]), found))
    nodes.single(nodes("Concat", *made, axis=1), output=operator.outputs[0].full_name)


def _rows(nodes: Nodes, operator: Any) -> str:
    model = operator.raw_operator
    if getattr(model, "_infrequent_enabled", False):
        raise UnsupportedModelError(
            f"A {type(model).__name__} that puts rare categories together has no route.",
            fix="train it without min_frequency and max_categories.",
        )
    if any(np.asarray(categories).dtype.kind not in "biuf" for categories in model.categories_):
        raise UnsupportedModelError(
            f"The {type(model).__name__} was trained on text, and the model's input is a table of numbers.",
            fix="train it on numbers.",
        )
    return nodes.double(operator.inputs[0].full_name)


def _hits(nodes: Nodes, rows: str, place: int, categories: np.ndarray) -> str:
    """1 where a column holds the category, float64 ``[batch, categories]``."""
    values = np.asarray(categories, dtype=np.float64)
    column = nodes.columns(rows, [place])
    hits = nodes("Equal", column, nodes.number(np.where(np.isnan(values), np.inf, values)))
    if np.isnan(values).any():
        missing = nodes("And", nodes("IsNaN", column), nodes.constant(np.isnan(values)))
        hits = nodes("Or", hits, missing)
    return nodes("Cast", hits, to=DOUBLE)


def _none(nodes: Nodes, hits: str) -> str:
    return nodes("Equal", nodes.total(hits, 1), nodes.number(0.0))


def _or_nan(nodes: Nodes, hits: str, values: str) -> str:
    """NaN for categories that were not seen in training, where scikit-learn raises."""
    return nodes("Where", _none(nodes, hits), nodes.number(np.nan), values)
