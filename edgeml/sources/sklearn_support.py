"""Checks that a scikit-learn model is fitted and consists of scikit-learn's own estimators."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from edgeml.core.errors import InputError, UnsupportedModelError

__all__ = ["check_estimator", "refuse_foreign_types", "without_searches"]

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
        _refuse_text_categories(step)
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise UnsupportedModelError(
            f"The {type(model).__name__} is not fitted.", fix="call its fit() before packaging it."
        ) from error


def without_searches(model: Any, holders: tuple[int, ...] = ()) -> Any:
    """Return a model with its searches, such as `GridSearchCV`, replaced by their best estimators.

    These compute all outputs. A search that is not fitted, as a setting of another estimator, is replaced by the
    estimator that it would tune. The model itself is not changed.

    Args:
        model: The model, or a value that it holds.
        holders: Ids of the objects that hold this value: one that holds itself stays as it is.
    """
    from sklearn.base import BaseEstimator
    from sklearn.model_selection._search import BaseSearchCV

    if id(model) in holders:
        return model
    holders = (*holders, id(model))
    if isinstance(model, BaseSearchCV):
        return without_searches(getattr(model, "best_estimator_", model.estimator), holders)
    if isinstance(model, list | tuple) and type(model) in {list, tuple}:
        items = [without_searches(item, holders) for item in model]
        return model if all(map(operator.is_, items, model)) else type(model)(items)
    if not isinstance(model, BaseEstimator | dict):
        return model
    held = model if isinstance(model, dict) else vars(model)
    replaced = {name: without_searches(value, holders) for name, value in held.items()}
    if all(replaced[name] is value for name, value in held.items()):
        return model
    plain = copy.copy(model)
    (plain if isinstance(plain, dict) else vars(plain)).update(replaced)
    return plain


def _refuse_text_categories(step: Any) -> None:
    """Refuse gradient boosting that encodes columns of text itself, as it does with those of pandas' category dtype."""
    encoder = getattr(getattr(step, "_preprocessor", None), "named_transformers_", {}).get("encoder")
    if any(np.asarray(categories).dtype.kind in "OSU" for categories in getattr(encoder, "categories_", ())):
        raise UnsupportedModelError(
            f"The {type(step).__name__} takes columns of categories that are texts, which is not supported.",
            fix="encode them before it: OrdinalEncoder in a ColumnTransformer, in one pipeline with it.",
        )


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
