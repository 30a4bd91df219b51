"""Radius-neighbor models as ONNX, in float64.

A row without neighbors yields NaN where scikit-learn returns NaN or raises.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, GraphBuilder, Operator, Scope

__all__ = ["radius_converters"]


def radius_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.neighbors import RadiusNeighborsClassifier, RadiusNeighborsRegressor

    return {RadiusNeighborsClassifier: _classifier, RadiusNeighborsRegressor: _regressor}


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    weights = _training_weights(graph, operator)
    targets = np.asarray(model._y, dtype=np.float64)  # noqa: SLF001  # no public attribute
    totals = graph("MatMul", weights, graph.number(targets.reshape(len(targets), -1)))
    graph.single(graph("Div", totals, graph.reduce_sum(weights, 1)), output=operator.outputs[0].full_name)


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    weights = _training_weights(graph, operator)
    classes = np.arange(len(model.classes_))
    members = np.asarray(model._y).reshape(-1, 1) == classes  # noqa: SLF001  # no public attribute
    votes = graph("MatMul", weights, graph.number(members))
    total = graph.reduce_sum(weights, 1)
    no_neighbors = graph("Equal", total, graph.number(0.0))
    outlier = np.full((1, len(classes)), np.nan)
    if model.outlier_label_ is not None:
        outlier = (model.classes_ == model.outlier_label_[0]).astype(np.float64)[None]
        if not outlier.any():
            raise UnsupportedModelError(
                f"{type(model).__name__}: outlier_label={model.outlier_label_[0]!r} is not one of the classes.",
                fix="train it with an outlier_label among the classes, or 'most_frequent'.",
            )
    shares = graph("Where", no_neighbors, graph.number(outlier), graph("Div", votes, total))
    label, scores = (output.full_name for output in operator.outputs)
    graph.single(shares, output=scores)
    graph.label(shares, model.classes_, output=label)


def _training_weights(graph: GraphBuilder, operator: Any) -> str:
    """Return the weight of each training row for each row, float64 ``[batch, training rows]``."""
    model = operator.raw_operator
    points = model._fit_X  # noqa: SLF001  # no public attribute
    if model.effective_metric_ != "euclidean" or model.weights not in {"uniform", "distance"}:
        raise UnsupportedModelError(
            f"{type(model).__name__}: weights={model.weights!r} with the metric '{model.effective_metric_}' is not "
            "supported in ONNX.",
            fix="train it with weights='uniform' or 'distance' and the Euclidean metric.",
        )
    squares = graph.exact_square_distances(graph.double(operator.inputs[0].full_name), points)
    distances = graph("Sqrt", squares)
    within = graph("Cast", graph("LessOrEqual", distances, graph.number(model.radius)), to=DOUBLE)
    if model.weights == "uniform":
        return within
    # Training rows at distance 0 get all the weight.
    identical = graph("Cast", graph("Equal", distances, graph.number(0.0)), to=DOUBLE)
    hit = graph("Greater", graph.reduce_sum(identical, 1), graph.number(0.0))
    return graph("Where", hit, identical, graph("Div", within, graph("Add", distances, identical)))
