"""Decision trees and forests as ONNX, with scikit-learn's ties and its handling of missing values.

In skl2onnx, each tree adds 1/n to a class, which float32 cannot represent exactly, so that either of two tied classes
may win. Here, each tree adds its own probabilities, mostly 0 and 1, and the sum is divided at the end. skl2onnx sends
missing values to the right; scikit-learn sends them where it learned to, or where more training rows went.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import FLOAT, Container, GraphBuilder, Operator, Scope

__all__ = ["forest_converters"]


def forest_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn import ensemble, tree

    classifiers = (
        ensemble.ExtraTreesClassifier,
        ensemble.RandomForestClassifier,
        tree.DecisionTreeClassifier,
        tree.ExtraTreeClassifier,
    )
    regressors = (
        ensemble.ExtraTreesRegressor,
        ensemble.RandomForestRegressor,
        tree.DecisionTreeRegressor,
        tree.ExtraTreeRegressor,
    )
    return {**dict.fromkeys(classifiers, _classifier), **dict.fromkeys(regressors, _regressor)}


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    label, scores = operator.outputs
    votes, count = _sum_trees(graph, operator, len(model.classes_))
    graph.write_output(graph("Div", votes, graph.constant(np.array(count, dtype=np.float32))), scores)
    graph.label(votes, model.classes_, output=label.full_name)


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.operator_converters.decision_tree import convert_sklearn_decision_tree_regressor

    if len(operator.outputs) > 1:  # a RandomTreesEmbedding needs the leaf as well
        convert_sklearn_decision_tree_regressor(scope, operator, container)
        return
    graph = GraphBuilder(scope, container)
    sums, count = _sum_trees(graph, operator, operator.raw_operator.n_outputs_)
    graph.write_output(graph("Div", sums, graph.constant(np.array(count, dtype=np.float32))), operator.outputs[0])


def _sum_trees(graph: GraphBuilder, operator: Any, targets: int) -> tuple[str, int]:
    """Return the sum over the trees, float32 ``[batch, targets]``, and the number of trees."""
    from skl2onnx.common.tree_ensemble import (
        add_tree_to_attribute_pairs,
        get_default_tree_regressor_attribute_pairs,
    )

    model = operator.raw_operator
    classifies = hasattr(model, "classes_")
    trees = get_default_tree_regressor_attribute_pairs()
    trees["n_targets"] = targets
    estimators = getattr(model, "estimators_", [model])
    missing: list[int] = []
    for tree_id, estimator in enumerate(estimators):
        tree = estimator.tree_
        add_tree_to_attribute_pairs(trees, False, tree, tree_id, 1.0, 0, leaf_weights_are_counts=classifies)
        leaf = tree.children_left == tree.children_right
        missing += np.where(leaf, 0, tree.missing_go_to_left).astype(int).tolist()
    trees["nodes_missing_value_tracks_true"] = missing
    if classifies:
        nonzero = [index for index, weight in enumerate(trees["target_weights"]) if weight != 0.0]
        for name in ("target_ids", "target_nodeids", "target_treeids", "target_weights"):
            trees[name] = [trees[name][index] for index in nonzero]  # most classes have probability 0 in a leaf
    # scikit-learn's trees round their input to float32, too.
    rows = graph("Cast", operator.inputs[0].full_name, to=FLOAT)
    return graph("TreeEnsembleRegressor", rows, op_domain="ai.onnx.ml", op_version=1, **trees), len(estimators)
