"""Trees, forests, bagging and boosting of scikit-learn, as tables of trees with their link functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ._stage import Stage, affine, binary_probabilities, softmax, unsupported
from .trees import Tree, Trees, merge_trees, read_tree

__all__ = ["TREES"]


def _tree(model: Any) -> list[Stage]:
    return [merge_trees([read_tree(model)], mean=True)]


def _forest(model: Any) -> list[Stage]:
    return [merge_trees([read_tree(tree) for tree in model.estimators_], mean=True)]


def _bagging(model: Any) -> list[Stage]:
    trees = []
    for tree, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        if not hasattr(tree, "tree_"):
            raise unsupported(f"{type(model).__name__}: estimators other than decision trees are not supported.")
        values = None
        # A bootstrap sample may lack a class.
        if hasattr(model, "classes_") and len(tree.classes_) < len(model.classes_):
            values = np.zeros((tree.tree_.node_count, len(model.classes_)))
            values[:, tree.classes_.astype(int)] = tree.tree_.value[:, 0, :]
        trees.append(read_tree(tree, np.asarray(columns), values))
    return [merge_trees(trees, mean=True)]


def _gradient_boosting(model: Any) -> list[Stage]:
    if model.init is not None and model.init != "zero":
        raise unsupported(f"{type(model).__name__}: a custom initial model (init) is not supported.")
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))[0]  # noqa: SLF001  # no public attribute
    trees = [read_tree(tree, values=model.learning_rate * tree.tree_.value[:, 0, :]) for tree in model.estimators_.flat]
    table = merge_trees(trees, groups=model.estimators_.shape[1])
    if not hasattr(model, "classes_"):
        return [table, affine(np.ones(1), start)]
    # The exponential loss fits half the log-odds.
    slope = 2.0 if model.loss == "exponential" else 1.0
    return _probabilities(table, start, slope)


def _histogram_boosting(model: Any) -> list[Stage]:
    name = type(model).__name__
    if model.is_categorical_ is not None:
        raise unsupported(f"{name}: categorical features are not supported.")
    trees = []
    for tree in (tree for iteration in model._predictors for tree in iteration):  # noqa: SLF001  # no public attribute
        nodes = tree.nodes
        inner = nodes["is_leaf"] == 0
        trees.append(
            Tree(
                inner,
                np.where(inner, nodes["feature_idx"], 0).astype(np.int64),
                nodes["num_threshold"].astype(np.float64),
                nodes["missing_go_to_left"].astype(bool),
                nodes["left"].astype(np.int64),
                nodes["right"].astype(np.int64),
                nodes["value"].astype(np.float64)[:, None],
            )
        )
    table = merge_trees(trees, groups=model.n_trees_per_iteration_, float64=True)
    start = model._baseline_prediction.reshape(-1)  # noqa: SLF001  # no public attribute
    if hasattr(model, "classes_"):
        return _probabilities(table, start, 1.0)
    shifted: list[Stage] = [table, affine(np.ones(1), start)]
    return [*shifted, _exp] if model.loss in {"poisson", "gamma"} else shifted


def _probabilities(table: Trees, start: np.ndarray, slope: float) -> list[Stage]:
    if len(start) == 1:
        return binary_probabilities([table, affine(np.array([slope]), slope * start)])
    return [table, affine(np.ones(len(start)), start), softmax]


def _ada_boost(model: Any) -> list[Stage]:
    count = len(model.classes_)
    trees = []
    weights = model.estimator_weights_ / model.estimator_weights_.sum()
    for tree, weight in zip(model.estimators_, weights, strict=False):
        if not hasattr(tree, "tree_"):
            raise unsupported("AdaBoostClassifier: estimators other than decision trees are not supported.")
        voted = tree.classes_[tree.tree_.value[:, 0, :].argmax(axis=1)][:, None] == model.classes_
        trees.append(read_tree(tree, values=np.where(voted, weight, -weight / (count - 1)) / (count - 1)))
    return [merge_trees(trees), softmax]


def _exp(value: Any) -> Any:
    import tensorflow as tf

    return tf.exp(value)


TREES: Mapping[str, Callable[[Any], list[Stage]]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"), _tree
        ),
        **dict.fromkeys(
            ("ExtraTreesClassifier", "ExtraTreesRegressor", "RandomForestClassifier", "RandomForestRegressor"), _forest
        ),
        **dict.fromkeys(("BaggingClassifier", "BaggingRegressor"), _bagging),
        **dict.fromkeys(("GradientBoostingClassifier", "GradientBoostingRegressor"), _gradient_boosting),
        **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _histogram_boosting),
        "AdaBoostClassifier": _ada_boost,
    }
)
