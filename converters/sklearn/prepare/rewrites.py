"""scikit-learn models as equal models of simpler make, and those that no graph can hold."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from .used_columns import in_order, union_of

__all__ = ["simplified"]


def simplified(model: Any) -> Any:
    """An equal model without wrappers and steps that do nothing to a row, and without what only training uses.

    Args:
        model: A copy: its parts are replaced in place.

    Raises:
        UnsupportedModelError: It, or a part of it, does for each row what is no fixed sequence of operations.
    """
    return _last(_simple(model, {}))


def _last(model: Any) -> Any:
    """A selector of features before its estimator, where it answers by that one."""
    from sklearn.pipeline import Pipeline

    if hasattr(model, "steps") and model.steps:
        model.steps[-1] = (model.steps[-1][0], _last(model.steps[-1][1]))
        return model
    if type(model).__name__ in {"RFE", "RFECV"}:
        return Pipeline([("select", model), ("estimator", _last(model.estimator_))])
    return model


def _simple(value: Any, seen: dict[int, Any]) -> Any:
    from sklearn.base import BaseEstimator

    if isinstance(value, list):
        value[:] = [_simple(item, seen) for item in value]
    elif isinstance(value, tuple):
        return tuple(_simple(item, seen) for item in value) if type(value) is tuple else value
    elif isinstance(value, dict):
        for key, item in value.items():
            value[key] = _simple(item, seen)
    elif isinstance(value, BaseEstimator):
        if id(value) not in seen:
            seen[id(value)] = value  # until it is known: an estimator may hold itself
            seen[id(value)] = _estimator(value, seen)
        return seen[id(value)]
    elif isinstance(value, np.ndarray) and value.dtype.hasobject and value.dtype.names is None:
        for place in range(value.size):
            value.flat[place] = _simple(value.flat[place], seen)
    elif type(value).__name__ == "_CalibratedClassifier":
        value.estimator = _simple(value.estimator, seen)
    return value


def _estimator(model: Any, seen: dict[int, Any]) -> Any:
    name = type(model).__name__
    if name in _ITERATIVE:
        raise UnsupportedModelError(f"The {name} {_ITERATIVE[name]}.", fix=_FIX)
    for inner in ("best_estimator_", "estimator_" if name == "SelfTrainingClassifier" else ""):
        if inner and hasattr(model, inner):
            return _simple(getattr(model, inner), seen)
    if name == "FrozenEstimator":
        return _simple(model.estimator, seen)
    for key, item in vars(model).items():
        # What was given to fit copies of is not fitted, and answers nothing.
        if key not in {"estimator", "estimators", "base_estimator", "final_estimator", "regressor", "transformers"}:
            setattr(model, key, _simple(item, seen))
    if hasattr(model, "steps"):
        steps = [(key, step) for key, step in model.steps if step is not None and step != "passthrough"]
        model.steps = [*steps[:1], *((key, _united(step)) for key, step in steps[1:])]
    if name == "ColumnTransformer":
        # By position: names are those of a data frame, of which there is none here.
        places = model._transformer_to_input_indices  # noqa: SLF001  # scikit-learn has no public name for it
        model.transformers_ = [
            (key, *in_order(part, list(map(int, places[key])))) for key, part, _ in model.transformers_
        ]
    if hasattr(model, "flatten_transform"):
        model.flatten_transform = False  # says how `transform` answers, which is not asked here
    if name.startswith("Voting") and model.weights is not None:
        model.weights = np.asarray(model.weights)  # skl2onnx takes no list
    return model


def _united(step: Any) -> Any:
    """A step behind another one, whose columns skl2onnx does not count."""
    return union_of(step) if type(step).__name__ == "ColumnTransformer" else step


_FIX = "end the pipeline before it, or train a model whose answer is a fixed sequence of operations."

_SOLVES = "solves an optimization problem for each row"
_ITERATIVE: Mapping[str, str] = MappingProxyType(
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
        "LocallyLinearEmbedding": "solves a system of equations for each row, for which ONNX has no operator",
        "LatentDirichletAllocation": "repeats an update for each row until it converges",
    }
)
