"""Trees, forests, bagging and boosting of scikit-learn as tables of trees and what follows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ._stage import Stage, affine, both_classes, refused, softmax
from .trees import Tree, Trees, fitted_tree, tree_table

__all__ = ["TREES"]


def _tree(model: Any) -> list[Stage]:
    return [tree_table([fitted_tree(model)], mean=True)]


def _forest(model: Any) -> list[Stage]:
    return [tree_table([fitted_tree(tree) for tree in model.estimators_], mean=True)]


def _bagging(model: Any) -> list[Stage]:
    trees = []
    for tree, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        if not hasattr(tree, "tree_"):
            raise refused(f"A {type(model).__name__} of other models than trees is not among those that are rebuilt.")
        values = None
        if hasattr(model, "classes_") and len(tree.classes_) < len(model.classes_):  # its sample held not all
            values = np.zeros((tree.tree_.node_count, len(model.classes_)))
            values[:, tree.classes_.astype(int)] = tree.tree_.value[:, 0, :]
        trees.append(fitted_tree(tree, np.asarray(columns), values))
    return [tree_table(trees, mean=True)]


def _gradient_boosting(model: Any) -> list[Stage]:
    if model.init is not None and model.init != "zero":
        raise refused(f"A {type(model).__name__} that begins with a model of its own is not among those rebuilt.")
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))[0]  # noqa: SLF001  # no public name
    trees = [
        fitted_tree(tree, values=model.learning_rate * tree.tree_.value[:, 0, :]) for tree in model.estimators_.flat
    ]
    table = tree_table(trees, groups=model.estimators_.shape[1])
    if not hasattr(model, "classes_"):
        return [table, affine(np.ones(1), start)]
    # The exponential loss has half the log-odds.
    steep = 2.0 if model.loss == "exponential" else 1.0
    return _probabilities(table, start, steep)


def _histogram_boosting(model: Any) -> list[Stage]:
    name = type(model).__name__
    if model.is_categorical_ is not None:
        raise refused(f"A {name} with categorical features is not among the models that are rebuilt.")
    trees = []
    for tree in (tree for iteration in model._predictors for tree in iteration):  # noqa: SLF001  # no public name
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
    table = tree_table(trees, groups=model.n_trees_per_iteration_, wide=True)
    start = model._baseline_prediction.reshape(-1)  # noqa: SLF001  # as above
    if hasattr(model, "classes_"):
        return _probabilities(table, start, 1.0)
    shifted: list[Stage] = [table, affine(np.ones(1), start)]
    return [*shifted, _exp] if model.loss in {"poisson", "gamma"} else shifted


def _probabilities(table: Trees, start: np.ndarray, steep: float) -> list[Stage]:
    if len(start) == 1:
        return both_classes([table, affine(np.array([steep]), steep * start)])
    return [table, affine(np.ones(len(start)), start), softmax]


def _ada_boost(model: Any) -> list[Stage]:
    count = len(model.classes_)
    trees = []
    weights = model.estimator_weights_ / model.estimator_weights_.sum()
    for tree, weight in zip(model.estimators_, weights, strict=False):
        if not hasattr(tree, "tree_"):
            raise refused("An AdaBoostClassifier of other models than trees is not among those that are rebuilt.")
        voted = tree.classes_[tree.tree_.value[:, 0, :].argmax(axis=1)][:, None] == model.classes_
        trees.append(fitted_tree(tree, values=np.where(voted, weight, -weight / (count - 1)) / (count - 1)))
    return [tree_table(trees), softmax]


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
