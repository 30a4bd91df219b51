"""Histogram gradient boosting as ONNX, with the link function of each loss, without categorical features."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import Container, GraphBuilder, Operator, Scope

__all__ = ["histogram_converters"]


def histogram_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return {HistGradientBoostingClassifier: _classifier, HistGradientBoostingRegressor: _regressor}


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    graph = GraphBuilder(scope, container)
    raw = _raw_scores(graph, operator)
    if operator.raw_operator.loss in {"poisson", "gamma"}:
        raw = graph("Exp", raw)
    graph.write_output(raw, operator.outputs[0])


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    raw = _raw_scores(graph, operator)
    label, scores = operator.outputs
    if len(model.classes_) == 2:
        raw = graph("Mul", raw, graph.number([[-1.0, 1.0]]))
        graph.write_output(graph("Sigmoid", raw), scores)
    else:
        graph.write_output(graph("Softmax", raw, axis=1), scores)
    graph.label(raw, model.classes_, output=label.full_name)


def _raw_scores(graph: GraphBuilder, operator: Any) -> str:
    """Return the sum of all trees and the baseline, float64 ``[batch, trees per iteration]``."""
    from onnx import numpy_helper
    from skl2onnx.common.data_types import DoubleTensorType

    model = operator.raw_operator
    if model.is_categorical_ is not None and np.any(model.is_categorical_):
        raise UnsupportedModelError(
            f"{type(model).__name__}: categorical features are not supported in ONNX (ai.onnx.ml 3), whose trees "
            "cannot split on sets of categories.",
            fix="train it without categorical_features, on one-hot encoded columns.",
        )
    targets = model.n_trees_per_iteration_
    trees: dict[str, Any] = {name: [] for name in (*_NODE_ATTRIBUTES, *_LEAF_ATTRIBUTES)}
    for number, iteration in enumerate(model._predictors):  # noqa: SLF001  # no public attribute
        for target, predictor in enumerate(iteration):
            _add_tree(trees, predictor.nodes, number * targets + target, target)
    is_float64 = isinstance(operator.inputs[0].type, DoubleTensorType)
    if is_float64:  # float64 thresholds, unchanged
        for name in _FLOAT_ATTRIBUTES:
            values = np.array(trees.pop(name), dtype=np.float64)
            trees[f"{name}_as_tensor"] = numpy_helper.from_array(values, name)
    sums = graph(
        "TreeEnsembleRegressor",
        operator.inputs[0].full_name,
        op_domain="ai.onnx.ml",
        op_version=3 if is_float64 else 1,
        n_targets=targets,
        post_transform="NONE",
        aggregate_function="SUM",
        **trees,
    )
    baseline = graph.number(np.reshape(model._baseline_prediction, (1, -1)))  # noqa: SLF001  # no public attribute
    return graph("Add", graph.double(sums), baseline)


_NODE_ATTRIBUTES = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_values",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
)
_LEAF_ATTRIBUTES = ("target_treeids", "target_nodeids", "target_ids", "target_weights")
_FLOAT_ATTRIBUTES = ("nodes_values", "target_weights")


def _add_tree(trees: dict[str, Any], table: np.ndarray, tree: int, target: int) -> None:
    for index, node in enumerate(table):
        leaf = bool(node["is_leaf"])
        # An infinite threshold separates missing values from all others; inputs do not exceed the largest float32.
        threshold = 0.0 if leaf else min(float(node["num_threshold"]), float(np.finfo(np.float32).max))
        values = (
            tree,
            index,
            0 if leaf else int(node["feature_idx"]),
            threshold,
            "LEAF" if leaf else "BRANCH_LEQ",
            0 if leaf else int(node["left"]),
            0 if leaf else int(node["right"]),
            int(not leaf and node["missing_go_to_left"]),
        )
        for name, value in zip(_NODE_ATTRIBUTES, values, strict=True):
            trees[name].append(value)
        if leaf:
            for name, value in zip(_LEAF_ATTRIBUTES, (tree, index, target, float(node["value"])), strict=True):
                trees[name].append(value)
