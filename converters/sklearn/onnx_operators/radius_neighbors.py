"""Neighbours within a radius as ONNX, in float64.

A row without any gets NaN where scikit-learn gives that or raises.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, Nodes, Operator, Scope

__all__ = ["radius_converters"]


def radius_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.neighbors import RadiusNeighborsClassifier, RadiusNeighborsRegressor

    return {RadiusNeighborsClassifier: _classifier, RadiusNeighborsRegressor: _regressor}


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    weights = _weights(nodes, operator)
    targets = np.asarray(model._y, dtype=np.float64)  # noqa: SLF001  # scikit-learn has no public name for it
    totals = nodes("MatMul", weights, nodes.number(targets.reshape(len(targets), -1)))
    nodes.single(nodes("Div", totals, nodes.total(weights, 1)), output=operator.outputs[0].full_name)


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    weights = _weights(nodes, operator)
    classes = np.arange(len(model.classes_))
    members = np.asarray(model._y).reshape(-1, 1) == classes  # noqa: SLF001  # as above
    votes = nodes("MatMul", weights, nodes.number(members))
    total = nodes.total(weights, 1)
    none = nodes("Equal", total, nodes.number(0.0))
    outlier = np.full((1, len(classes)), np.nan)
    if model.outlier_label_ is not None:
        outlier = (model.classes_ == model.outlier_label_[0]).astype(np.float64)[None]
        if not outlier.any():
            raise UnsupportedModelError(
                f"The {type(model).__name__} gives rows without neighbours the label {model.outlier_label_[0]!r}, "
                "which is none of its classes.",
                fix="train it with an outlier_label among the classes, or 'most_frequent'.",
            )
    shares = nodes("Where", none, nodes.number(outlier), nodes("Div", votes, total))
    label, scores = (output.full_name for output in operator.outputs)
    nodes.single(shares, output=scores)
    nodes.label(shares, model.classes_, output=label)


def _weights(nodes: Nodes, operator: Any) -> str:
    """What each training row counts for a row, float64 ``[batch, training rows]``."""
    model = operator.raw_operator
    points = model._fit_X  # noqa: SLF001  # as above
    if model.effective_metric_ != "euclidean" or model.weights not in {"uniform", "distance"}:
        raise UnsupportedModelError(
            f"The {type(model).__name__} weights its neighbours by {model.weights!r} with the metric "
            f"'{model.effective_metric_}'.",
            fix="train it with weights='uniform' or 'distance' and the Euclidean metric.",
        )
    squares = nodes.exact_square_distances(nodes.double(operator.inputs[0].full_name), points)
    distances = nodes("Sqrt", squares)
    inside = nodes("Cast", nodes("LessOrEqual", distances, nodes.number(model.radius)), to=DOUBLE)
    if model.weights == "uniform":
        return inside
    # A row that lies on training rows counts those alone.
    same = nodes("Cast", nodes("Equal", distances, nodes.number(0.0)), to=DOUBLE)
    hit = nodes("Greater", nodes.total(same, 1), nodes.number(0.0))
    return nodes("Where", hit, same, nodes("Div", inside, nodes("Add", distances, same)))
