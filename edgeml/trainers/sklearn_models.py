"""scikit-learn's estimators and pipelines, by name."""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeml.core.errors import InputError
from edgeml.trainers.training_schema import Sklearn, TrainingTask

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["make_model", "task_of_model"]

_ESTIMATOR = {"estimator", "parameters"}
# They split one column at a time, which no scaling changes.
_SCALE_FREE = ("sklearn.tree.", "sklearn.ensemble.", "sklearn.dummy.")


def make_model(wanted: Sklearn, inputs: np.ndarray | pd.DataFrame, *, seed: int) -> Any:
    """A pipeline, not fitted; its last step is called ``estimator`` where one was named, else its steps by class.

    Every ``random_state`` that was not given is the seed.

    Args:
        wanted: The estimator or the steps, and their parameters.
        inputs: All samples. For a table, what its gaps and texts need comes first, as step ``prepare``.
        seed: Of whatever is drawn.

    Raises:
        InputError: There is no such estimator or parameter.
    """
    from sklearn.pipeline import Pipeline, make_pipeline

    if wanted.steps:
        made = [_made(step, f"model.steps[{i}]") for i, step in enumerate(wanted.steps)]
        steps = make_pipeline(*made).steps
    else:
        steps = [("estimator", _made({"estimator": wanted.estimator, "parameters": wanted.parameters}, "model"))]
    front = [] if isinstance(inputs, np.ndarray) or wanted.table == "as is" else _front(inputs, wanted, steps[-1][1])
    model = Pipeline([*front, *steps])
    unseeded = [
        name
        for name, value in model.get_params().items()
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    return model.set_params(**dict.fromkeys(unseeded, seed))


def task_of_model(model: Any) -> TrainingTask:
    """What an estimator does.

    Raises:
        InputError: It is of no kind that can be trained here.
    """
    from sklearn.base import is_classifier, is_clusterer, is_regressor

    if is_classifier(model):
        return "classification"
    if is_regressor(model):
        return "regression"
    if is_clusterer(model):
        return "clustering"
    if hasattr(model, "transform"):
        return "transformation"
    raise InputError(f"model: {type(model[-1]).__name__} is no classifier, regressor, clusterer or transformer.")


def _front(inputs: pd.DataFrame, wanted: Sklearn, last: Any) -> list[tuple[str, Any]]:
    """What a table needs before an estimator can take it; nothing where it needs nothing."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = [name for name, column in inputs.items() if column.dtype == object]
    numbers = [name for name in inputs.columns if name not in text]
    gaps = bool(inputs.isna().to_numpy().any())
    scale = wanted.scale if wanted.scale is not None else not type(last).__module__.startswith(_SCALE_FREE)
    for_numbers = [
        *([SimpleImputer(strategy="median")] if gaps else []),
        *([StandardScaler()] if scale else []),
    ]
    if not text:
        return [("prepare", make_pipeline(*for_numbers))] if for_numbers else []
    for_text = make_pipeline(
        *([SimpleImputer(strategy="most_frequent")] if gaps else []),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    columns: list[tuple[str, Any, list[Any]]] = [("text", for_text, text)]
    if numbers:
        columns.insert(0, ("numbers", make_pipeline(*for_numbers) if for_numbers else "passthrough", numbers))
    return [("prepare", ColumnTransformer(columns))]


@cache
def _estimators() -> dict[str, type]:
    from sklearn.pipeline import FeatureUnion, Pipeline
    from sklearn.utils import all_estimators

    return {**dict(all_estimators()), "Pipeline": Pipeline, "FeatureUnion": FeatureUnion}


def _made(wanted: dict[str, Any], where: str) -> Any:
    """An estimator of ``{estimator = "…", parameters = {…}}``."""
    name, parameters = wanted.get("estimator"), wanted.get("parameters", {})
    if set(wanted) - _ESTIMATOR or not isinstance(name, str) or not isinstance(parameters, dict):
        got = ", ".join(map(str, wanted)) or "nothing"
        raise InputError(f"{where}: got {got}, expected a table with 'estimator' and 'parameters'.")
    kind = _estimators().get(name)
    if kind is None:
        near = difflib.get_close_matches(name, _estimators(), 3)
        raise InputError(
            f"{where}: scikit-learn has no estimator '{name}'.",
            fix=f"did you mean {' or '.join(near)}?" if near else "give the name of a class of scikit-learn.",
        )
    given = {key: _value(value, f"{where}.parameters.{key}") for key, value in parameters.items()}
    # Of the class, as `get_params` has them; some classes cannot be made without one, so that none can be asked.
    known = kind._get_param_names()  # type: ignore[attr-defined]  # noqa: SLF001
    unknown = next((key for key in given if key not in known), None)
    if unknown is not None:
        raise InputError(
            f"{where}: {name} has no parameter '{unknown}'.", fix=f"its parameters are {', '.join(known) or 'none'}."
        )
    try:
        estimator = kind(**given)
    except TypeError as error:
        raise InputError(f"{where}: {name} cannot be made: {error}.") from error
    return estimator.set_params(**_tuples(kind, given))


def _value(value: Any, where: str) -> Any:
    """A parameter's value, with the estimators in it made."""
    if isinstance(value, dict):
        if "estimator" in value and set(value) <= _ESTIMATOR and isinstance(value["estimator"], str):
            return _made(value, where)
        return {key: _value(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item, f"{where}[{i}]") for i, item in enumerate(value)]
    return value


def _tuples(kind: type, given: dict[str, Any]) -> dict[str, Any]:
    """The lists that scikit-learn takes as tuples alone: those whose default is one. TOML has no tuples."""
    import inspect

    defaults = {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}
    return {
        name: tuple(value)
        for name, value in given.items()
        if isinstance(value, list) and isinstance(defaults.get(name), tuple)
    }
