"""Decision trees and forests as ONNX, whose votes tie where scikit-learn's do, and whose gaps go its way.

skl2onnx lets each tree add 1/n to a class, which float32 does not hold exactly: of two classes with equal votes
either may win. Here each tree adds its own probabilities, mostly 0 and 1, and the sum is divided in the end. It
sends missing values to the right, and scikit-learn where it learned to, or where more rows went.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import FLOAT, Container, Nodes, Operator, Scope

__all__ = ["forest_converters"]


def forest_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
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
    model, nodes = operator.raw_operator, Nodes(scope, container)
    label, scores = operator.outputs
    votes, count = _sums(nodes, operator, len(model.classes_))
    nodes.give(nodes("Div", votes, nodes.constant(np.array(count, dtype=np.float32))), scores)
    nodes.label(votes, model.classes_, output=label.full_name)


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.operator_converters.decision_tree import convert_sklearn_decision_tree_regressor

    if len(operator.outputs) > 1:  # a RandomTreesEmbedding asks for the leaf too
        convert_sklearn_decision_tree_regressor(scope, operator, container)
        return
    nodes = Nodes(scope, container)
    sums, count = _sums(nodes, operator, operator.raw_operator.n_outputs_)
    nodes.give(nodes("Div", sums, nodes.constant(np.array(count, dtype=np.float32))), operator.outputs[0])


def _sums(nodes: Nodes, operator: Any, targets: int) -> tuple[str, int]:
    """The sum over the trees, float32 ``[batch, targets]``, and how many there are."""
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
    for number, estimator in enumerate(estimators):
        tree = estimator.tree_
        add_tree_to_attribute_pairs(trees, False, tree, number, 1.0, 0, leaf_weights_are_counts=classifies)
        leaf = tree.children_left == tree.children_right
        missing += np.where(leaf, 0, tree.missing_go_to_left).astype(int).tolist()
    trees["nodes_missing_value_tracks_true"] = missing
    if classifies:
        cast = [place for place, weight in enumerate(trees["target_weights"]) if weight != 0.0]
        for name in ("target_ids", "target_nodeids", "target_treeids", "target_weights"):
            trees[name] = [trees[name][place] for place in cast]  # most classes have no share in a leaf
    # scikit-learn's trees, too, round their rows to float32.
    rows = nodes("Cast", operator.inputs[0].full_name, to=FLOAT)
    return nodes("TreeEnsembleRegressor", rows, op_domain="ai.onnx.ml", op_version=1, **trees), len(estimators)
