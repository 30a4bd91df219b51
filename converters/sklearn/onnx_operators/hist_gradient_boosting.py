"""Histogram gradient boosting as ONNX: every loss's own link, no categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import Container, Nodes, Operator, Scope

__all__ = ["histogram_converters"]


def histogram_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return {HistGradientBoostingClassifier: _classifier, HistGradientBoostingRegressor: _regressor}


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    nodes = Nodes(scope, container)
    raw = _raw(nodes, operator)
    if operator.raw_operator.loss in {"poisson", "gamma"}:
        raw = nodes("Exp", raw)
    nodes.give(raw, operator.outputs[0])


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    raw = _raw(nodes, operator)
    label, scores = operator.outputs
    if len(model.classes_) == 2:
        raw = nodes("Mul", raw, nodes.number([[-1.0, 1.0]]))
        nodes.give(nodes("Sigmoid", raw), scores)
    else:
        nodes.give(nodes("Softmax", raw, axis=1), scores)
    nodes.label(raw, model.classes_, output=label.full_name)


def _raw(nodes: Nodes, operator: Any) -> str:
    """The sum of all trees and the baseline, float64 ``[batch, trees of an iteration]``."""
    from onnx import numpy_helper
    from skl2onnx.common.data_types import DoubleTensorType

    model = operator.raw_operator
    if model.is_categorical_ is not None and np.any(model.is_categorical_):
        raise UnsupportedModelError(
            f"The {type(model).__name__} has categorical features, which its trees part by sets of categories; "
            "ONNX's trees of ai.onnx.ml 3 compare with one number.",
            fix="train it without categorical_features, on one-hot columns.",
        )
    targets = model.n_trees_per_iteration_
    trees: dict[str, Any] = {name: [] for name in (*_NODES, *_LEAVES)}
    for number, iteration in enumerate(model._predictors):  # noqa: SLF001  # scikit-learn has no public name for it
        for target, predictor in enumerate(iteration):
            _add(trees, predictor.nodes, number * targets + target, target)
    wide = isinstance(operator.inputs[0].type, DoubleTensorType)
    if wide:  # the thresholds stay as they are
        for name in _NUMBERS:
            values = np.array(trees.pop(name), dtype=np.float64)
            trees[f"{name}_as_tensor"] = numpy_helper.from_array(values, name)
    sums = nodes(
        "TreeEnsembleRegressor",
        operator.inputs[0].full_name,
        op_domain="ai.onnx.ml",
        op_version=3 if wide else 1,
        n_targets=targets,
        post_transform="NONE",
        aggregate_function="SUM",
        **trees,
    )
    baseline = nodes.number(np.reshape(model._baseline_prediction, (1, -1)))  # noqa: SLF001  # as above
    return nodes("Add", nodes.double(sums), baseline)


_NODES = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_values",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
)
_LEAVES = ("target_treeids", "target_nodeids", "target_ids", "target_weights")
_NUMBERS = ("nodes_values", "target_weights")


def _add(trees: dict[str, Any], table: np.ndarray, tree: int, target: int) -> None:
    for place, node in enumerate(table):
        leaf = bool(node["is_leaf"])
        # A threshold of infinity parts missing values from all others; no input is above the largest float32.
        threshold = 0.0 if leaf else min(float(node["num_threshold"]), float(np.finfo(np.float32).max))
        values = (
            tree,
            place,
            0 if leaf else int(node["feature_idx"]),
            threshold,
            "LEAF" if leaf else "BRANCH_LEQ",
            0 if leaf else int(node["left"]),
            0 if leaf else int(node["right"]),
            int(not leaf and node["missing_go_to_left"]),
        )
        for name, value in zip(_NODES, values, strict=True):
            trees[name].append(value)
        if leaf:
            for name, value in zip(_LEAVES, (tree, place, target, float(node["value"])), strict=True):
                trees[name].append(value)
