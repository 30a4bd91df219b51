"""Rewrite scikit-learn models into equivalent simpler ones; reject those with data-dependent iteration."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from .used_columns import keep_column_order, to_feature_union

__all__ = ["simplify"]


def simplify(model: Any) -> Any:
    """Return an equivalent model without wrappers, passthrough steps and parts that only training uses.

    Args:
        model: A copy of the model; its parts are replaced in place.

    Raises:
        UnsupportedModelError: The model, or a step of it, predicts by iteration that no static graph can express.
    """
    return _expand_selector(_simplify_value(model, {}))


def _expand_selector(model: Any) -> Any:
    """Expand a final feature selector into the selection and the estimator that predicts."""
    from sklearn.pipeline import Pipeline

    if hasattr(model, "steps") and model.steps:
        model.steps[-1] = (model.steps[-1][0], _expand_selector(model.steps[-1][1]))
        return model
    if type(model).__name__ in {"RFE", "RFECV"}:
        return Pipeline([("select", model), ("estimator", _expand_selector(model.estimator_))])
    return model


def _simplify_value(value: Any, visited: dict[int, Any]) -> Any:
    from sklearn.base import BaseEstimator

    if isinstance(value, list):
        value[:] = [_simplify_value(item, visited) for item in value]
    elif isinstance(value, tuple):
        return tuple(_simplify_value(item, visited) for item in value) if type(value) is tuple else value
    elif isinstance(value, dict):
        for key, item in value.items():
            value[key] = _simplify_value(item, visited)
    elif isinstance(value, BaseEstimator):
        if id(value) not in visited:
            visited[id(value)] = value  # placeholder during recursion: an estimator may contain itself
            visited[id(value)] = _simplify_estimator(value, visited)
        return visited[id(value)]
    elif isinstance(value, np.ndarray) and value.dtype.hasobject and value.dtype.names is None:
        for index in range(value.size):
            value.flat[index] = _simplify_value(value.flat[index], visited)
    elif type(value).__name__ == "_CalibratedClassifier":
        value.estimator = _simplify_value(value.estimator, visited)
    return value


def _simplify_estimator(model: Any, visited: dict[int, Any]) -> Any:
    name = type(model).__name__
    if name in _UNSUPPORTED:
        raise UnsupportedModelError(f"{name}: {_UNSUPPORTED[name]}, which is not supported in ONNX.", fix=_FIX)
    for inner in ("best_estimator_", "estimator_" if name == "SelfTrainingClassifier" else ""):
        if inner and hasattr(model, inner):
            return _simplify_value(getattr(model, inner), visited)
    if name == "FrozenEstimator":
        return _simplify_value(model.estimator, visited)
    for key, item in vars(model).items():
        # Templates of estimators are not fitted, and are not used for prediction.
        if key not in {"estimator", "estimators", "base_estimator", "final_estimator", "regressor", "transformers"}:
            setattr(model, key, _simplify_value(item, visited))
    if hasattr(model, "steps"):
        steps = [(key, step) for key, step in model.steps if step is not None and step != "passthrough"]
        model.steps = [*steps[:1], *((key, _flatten_columns(step)) for key, step in steps[1:])]
    if name == "ColumnTransformer":
        # Select by position, since column names require a data frame.
        indices = model._transformer_to_input_indices  # noqa: SLF001  # no public attribute
        model.transformers_ = [
            (key, *keep_column_order(part, list(map(int, indices[key])))) for key, part, _ in model.transformers_
        ]
    if hasattr(model, "flatten_transform"):
        model.flatten_transform = False  # affects `transform` only, which is not used here
    if name.startswith("Voting") and model.weights is not None:
        model.weights = np.asarray(model.weights)  # skl2onnx rejects a list
    return model


def _flatten_columns(step: Any) -> Any:
    """Replace a ColumnTransformer after another step, whose columns skl2onnx cannot select."""
    return to_feature_union(step) if type(step).__name__ == "ColumnTransformer" else step


_FIX = "end the pipeline before this step, or train a model that predicts without iteration."

_SOLVES = "prediction solves an optimization problem for each row"
_UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "DictionaryLearning",
                "MiniBatchDictionaryLearning",
                "MiniBatchNMF",
                "NMF",
                "SparseCoder",
            ),
            _SOLVES,
        ),
        "LocallyLinearEmbedding": "prediction solves a system of equations for each row",
        "LatentDirichletAllocation": "prediction repeats an update for each row until convergence",
    }
)
