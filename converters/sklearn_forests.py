"""Forests of classification trees as ONNX, whose votes tie where scikit-learn's do.

skl2onnx lets each tree add 1/n to a class, which float32 does not hold exactly: of two classes with equal votes
either may win. Here each tree adds its own probabilities, mostly 0 and 1, and the sum is divided in the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .skl2onnx_nodes import Nodes

__all__ = ["forest_converters"]


def forest_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    return {ExtraTreesClassifier: _forest, RandomForestClassifier: _forest}


def _forest(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.tree_ensemble import (
        add_tree_to_attribute_pairs,
        get_default_tree_regressor_attribute_pairs,
    )

    model = operator.raw_operator
    trees = get_default_tree_regressor_attribute_pairs()
    trees["n_targets"] = len(model.classes_)
    for number, estimator in enumerate(model.estimators_):
        add_tree_to_attribute_pairs(trees, False, estimator.tree_, number, 1.0, 0, leaf_weights_are_counts=True)
    cast = [place for place, weight in enumerate(trees["target_weights"]) if weight != 0.0]
    for name in ("target_ids", "target_nodeids", "target_treeids", "target_weights"):
        trees[name] = [trees[name][place] for place in cast]  # most classes have no share in a leaf
    label, scores = (output.full_name for output in operator.outputs)
    nodes = Nodes(scope, container)
    votes = nodes("TreeEnsembleRegressor", operator.inputs[0].full_name, op_domain="ai.onnx.ml", op_version=1, **trees)
    nodes("Div", votes, nodes.constant(np.array(len(model.estimators_), dtype=np.float32)), output=scores)
    nodes.label(votes, model.classes_, output=label)
