"""Checks that a scikit-learn model is fitted and consists of scikit-learn's own estimators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from edgeml.core.errors import InputError, UnsupportedModelError

__all__ = ["check_estimator", "refuse_foreign_types"]

# Libraries whose estimators follow scikit-learn's interface, by their package.
_LIBRARIES = {
    "catboost": "CatBoost",
    "imblearn": "imbalanced-learn",
    "lightgbm": "LightGBM",
    "skorch": "skorch",
    "xgboost": "XGBoost",
}
_FIX = (
    "use scikit-learn's own estimators; or convert the model to ONNX with the tools of its library, and build from the "
    ".onnx file."
)


def check_estimator(model: Any) -> None:
    """Check that a model is a fitted estimator of scikit-learn itself, and all its steps are.

    Raises:
        InputError: The object is not an estimator.
        UnsupportedModelError: The estimator is not fitted, or it or a step comes from another library or reads files.
    """
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(model, BaseEstimator):
        raise InputError(f"expected a scikit-learn estimator, got an object of the type {type(model).__name__}.")
    for step in _estimators(model, set()):
        if type(step).__module__.partition(".")[0] != "sklearn":
            raise _foreign(type(step).__module__, type(step).__qualname__, None if step is model else model)
        if getattr(step, "input", "content") != "content":
            raise UnsupportedModelError(
                f"{type(step).__name__} takes texts for names of files (input={step.input!r}), which is not supported.",
                fix="train it on the texts themselves, with input='content'.",
            )
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise UnsupportedModelError(
            f"The {type(model).__name__} is not fitted.", fix="call its fit() before packaging it."
        ) from error


def refuse_foreign_types(names: Iterable[str]) -> None:
    """Refuse a file that holds types of a library whose estimators are not supported.

    Args:
        names: Dotted names of the types.

    Raises:
        UnsupportedModelError: One of them is of such a library.
    """
    for name in names:
        module, _, kind = name.rpartition(".")
        if module.partition(".")[0] in _LIBRARIES:
            raise _foreign(module, kind, None)


def _foreign(module: str, kind: str, model: Any) -> UnsupportedModelError:
    package = module.partition(".")[0]
    origin = _LIBRARIES.get(package, f"the module '{module}'")
    step = "" if model is None else f", a step of the {type(model).__name__},"
    return UnsupportedModelError(
        f"{kind} of {origin}{step} is not an estimator of scikit-learn itself, and is not supported.", fix=_FIX
    )


def _estimators(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the estimators in a model's parameters and fitted attributes, outermost first."""
    if id(value) in seen or isinstance(value, type):
        return
    seen.add(id(value))
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        for item in value:
            yield from _estimators(item, seen)
        return
    is_estimator = hasattr(value, "fit")
    if is_estimator:
        yield value
    if is_estimator or type(value).__module__.partition(".")[0] == "sklearn":  # which may hold estimators
        for attribute in getattr(value, "__dict__", {}).values():
            yield from _estimators(attribute, seen)
