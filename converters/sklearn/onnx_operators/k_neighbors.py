"""k-nearest-neighbour models as ONNX, with scikit-learn's own arithmetic.

skl2onnx computes distances in float32, one row at a time, and takes their negatives as weights where near
neighbours count more. Here they are float64 matrix products; of equally near rows the earlier one is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, Nodes, Operator, Scope

__all__ = ["neighbor_converters"]


def neighbor_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    return {KNeighborsClassifier: _classifier, KNeighborsRegressor: _regressor}


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.operator_converters.nearest_neighbours import convert_nearest_neighbors_classifier

    model = operator.raw_operator
    if not _is_euclidean(model):
        convert_nearest_neighbors_classifier(scope, operator, container)
        return
    nodes = Nodes(scope, container)
    label, scores = operator.outputs
    nearest, weights = _neighbors(nodes, operator.inputs[0].full_name, model)
    classes = nodes("Gather", nodes.constant(_targets(model).ravel().astype(np.int64)), nearest)
    each = nodes("Unsqueeze", classes, nodes.constant(np.array([2])))
    hits = nodes("Cast", nodes("Equal", each, nodes.constant(np.arange(len(model.classes_)))), to=DOUBLE)
    votes = _weighted_mean(nodes, hits, weights)
    nodes.give(votes, scores)
    nodes.label(votes, model.classes_, output=label.full_name)


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.operator_converters.nearest_neighbours import convert_nearest_neighbors_regressor

    model = operator.raw_operator
    if not _is_euclidean(model):
        convert_nearest_neighbors_regressor(scope, operator, container)
        return
    nodes = Nodes(scope, container)
    nearest, weights = _neighbors(nodes, operator.inputs[0].full_name, model)
    targets = _targets(model).astype(np.float64)
    targets = targets.reshape(len(targets), -1)
    means = _weighted_mean(nodes, nodes("Gather", nodes.constant(targets), nearest), weights)
    nodes.give(means, operator.outputs[0])


def _is_euclidean(model: Any) -> bool:
    if model.weights == "uniform":
        return bool(model.effective_metric_ == "euclidean") and isinstance(_rows(model), np.ndarray)
    if model.weights != "distance" or model.effective_metric_ != "euclidean":
        raise UnsupportedModelError(
            f"The {type(model).__name__} weights its neighbours by {model.weights!r} with the metric "
            f"'{model.effective_metric_}'.",
            fix="train it with weights='uniform' or with the Euclidean metric.",
        )
    return True


def _rows(model: Any) -> Any:
    return model._fit_X  # noqa: SLF001  # scikit-learn has no public name for it


def _targets(model: Any) -> np.ndarray:
    return np.asarray(model._y)  # noqa: SLF001  # scikit-learn has no public name for it


def _neighbors(nodes: Nodes, features: str, model: Any) -> tuple[str, str]:
    """Positions of the nearest training rows ``[batch, k]`` and their float64 weights ``[batch, k, 1]``."""
    rows = np.asarray(_rows(model))
    single = rows.astype(np.float32)
    stored = nodes.constant(single if np.array_equal(single, rows) else rows.astype(np.float64))
    trained = nodes("Cast", stored, to=DOUBLE)
    given = nodes("Cast", features, to=DOUBLE)
    products = nodes("MatMul", given, nodes("Transpose", trained, perm=[1, 0]))
    # |y|² − 2xy orders as |x − y|² does.
    order = nodes(
        "Sub",
        nodes.constant(np.square(rows, dtype=np.float64).sum(axis=1)),
        nodes("Mul", products, nodes.constant(np.array(2.0))),
    )
    count = nodes.constant(np.array([model.n_neighbors]))
    _, nearest = nodes.several("TopK", order, count, outputs=2, axis=1, largest=0, sorted=1)
    if model.weights == "uniform":
        return nearest, nodes.constant(np.ones((1, model.n_neighbors, 1)))
    each = nodes("Unsqueeze", given, nodes.constant(np.array([1])))
    offsets = nodes("Sub", nodes("Gather", trained, nearest), each)
    axis = nodes.constant(np.array([2]))
    distances = nodes("Sqrt", nodes("ReduceSum", nodes("Mul", offsets, offsets), axis, keepdims=1))
    # A row that lies on training rows counts those alone.
    same = nodes("Equal", distances, nodes.constant(np.array(0.0)))
    hits = nodes("Cast", same, to=DOUBLE)
    hit = nodes("Greater", nodes.total(hits, 1), nodes.constant(np.array(0.0)))
    return nearest, nodes("Where", hit, hits, nodes("Reciprocal", nodes("Add", distances, hits)))


def _weighted_mean(nodes: Nodes, values: str, weights: str) -> str:
    """Of float64 ``[batch, k, n]`` over k."""
    axis = nodes.constant(np.array([1]))
    total = nodes("ReduceSum", nodes("Mul", values, weights), axis, keepdims=0)
    return nodes("Div", total, nodes("ReduceSum", weights, axis, keepdims=0))
