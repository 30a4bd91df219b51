"""k-nearest-neighbor models as ONNX, with scikit-learn's arithmetic.

skl2onnx computes distances in float32, one row at a time, and uses negative distances as weights for
weights='distance'. Here, distances are float64 matrix products; ties go to the earlier training row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, GraphBuilder, Operator, Scope

__all__ = ["neighbor_converters"]


def neighbor_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    return {KNeighborsClassifier: _classifier, KNeighborsRegressor: _regressor}


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.operator_converters.nearest_neighbours import convert_nearest_neighbors_classifier

    model = operator.raw_operator
    if not _is_euclidean(model):
        convert_nearest_neighbors_classifier(scope, operator, container)
        return
    graph = GraphBuilder(scope, container)
    label, scores = operator.outputs
    nearest, weights = _neighbors(graph, operator.inputs[0].full_name, model)
    classes = graph("Gather", graph.constant(_targets(model).ravel().astype(np.int64)), nearest)
    expanded = graph("Unsqueeze", classes, graph.constant(np.array([2])))
    hits = graph("Cast", graph("Equal", expanded, graph.constant(np.arange(len(model.classes_)))), to=DOUBLE)
    votes = _weighted_mean(graph, hits, weights)
    graph.write_output(votes, scores)
    graph.label(votes, model.classes_, output=label.full_name)


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.operator_converters.nearest_neighbours import convert_nearest_neighbors_regressor

    model = operator.raw_operator
    if not _is_euclidean(model):
        convert_nearest_neighbors_regressor(scope, operator, container)
        return
    graph = GraphBuilder(scope, container)
    nearest, weights = _neighbors(graph, operator.inputs[0].full_name, model)
    targets = _targets(model).astype(np.float64)
    targets = targets.reshape(len(targets), -1)
    means = _weighted_mean(graph, graph("Gather", graph.constant(targets), nearest), weights)
    graph.write_output(means, operator.outputs[0])


def _is_euclidean(model: Any) -> bool:
    if model.weights == "uniform":
        return bool(model.effective_metric_ == "euclidean") and isinstance(_training_rows(model), np.ndarray)
    if model.weights != "distance" or model.effective_metric_ != "euclidean":
        raise UnsupportedModelError(
            f"{type(model).__name__}: weights={model.weights!r} with the metric '{model.effective_metric_}' is not "
            "supported in ONNX.",
            fix="train it with weights='uniform' or with the Euclidean metric.",
        )
    return True


def _training_rows(model: Any) -> Any:
    return model._fit_X  # noqa: SLF001  # no public attribute


def _targets(model: Any) -> np.ndarray:
    return np.asarray(model._y)  # noqa: SLF001  # no public attribute


def _neighbors(graph: GraphBuilder, features: str, model: Any) -> tuple[str, str]:
    """Return indices of the nearest training rows ``[batch, k]`` and their float64 weights ``[batch, k, 1]``."""
    rows = np.asarray(_training_rows(model))
    rounded = rows.astype(np.float32)
    stored = graph.constant(rounded if np.array_equal(rounded, rows) else rows.astype(np.float64))
    training_rows = graph("Cast", stored, to=DOUBLE)
    queries = graph("Cast", features, to=DOUBLE)
    products = graph("MatMul", queries, graph("Transpose", training_rows, perm=[1, 0]))
    # |y|² − 2xy has the same order as |x − y|².
    order = graph(
        "Sub",
        graph.constant(np.square(rows, dtype=np.float64).sum(axis=1)),
        graph("Mul", products, graph.constant(np.array(2.0))),
    )
    count = graph.constant(np.array([model.n_neighbors]))
    _, nearest = graph.multi_output("TopK", order, count, outputs=2, axis=1, largest=0, sorted=1)
    if model.weights == "uniform":
        return nearest, graph.constant(np.ones((1, model.n_neighbors, 1)))
    expanded = graph("Unsqueeze", queries, graph.constant(np.array([1])))
    offsets = graph("Sub", graph("Gather", training_rows, nearest), expanded)
    axis = graph.constant(np.array([2]))
    distances = graph("Sqrt", graph("ReduceSum", graph("Mul", offsets, offsets), axis, keepdims=1))
    # Training rows at distance 0 get all the weight.
    same = graph("Equal", distances, graph.constant(np.array(0.0)))
    hits = graph("Cast", same, to=DOUBLE)
    hit = graph("Greater", graph.reduce_sum(hits, 1), graph.constant(np.array(0.0)))
    return nearest, graph("Where", hit, hits, graph("Reciprocal", graph("Add", distances, hits)))


def _weighted_mean(graph: GraphBuilder, values: str, weights: str) -> str:
    """Compute the weighted mean of float64 ``[batch, k, n]`` over k."""
    axis = graph.constant(np.array([1]))
    total = graph("ReduceSum", graph("Mul", values, weights), axis, keepdims=0)
    return graph("Div", total, graph("ReduceSum", weights, axis, keepdims=0))
