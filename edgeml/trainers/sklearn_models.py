"""Create scikit-learn estimators and pipelines by name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeml.core.errors import InputError
from edgeml.trainers.sklearn_parameters import all_estimators, check_value
from edgeml.trainers.training_schema import Sklearn, TrainingTask

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["make_model", "task_of_model"]

_ESTIMATOR = {"estimator", "parameters"}
# Trees split a single column at a time, so that scaling does not change them.
_SCALE_FREE = ("sklearn.tree.", "sklearn.ensemble.", "sklearn.dummy.")


def make_model(model: Sklearn, inputs: np.ndarray | pd.DataFrame, *, seed: int) -> Any:
    """Create a pipeline, not fitted.

    A single estimator is the step ``estimator``; several steps are named after their classes. Every ``random_state``
    without a value is set to the seed.

    Args:
        model: The estimator or the steps, and their parameters.
        inputs: All samples. A table with missing values or text gets a first step ``prepare``.
        seed: Seed of all random states.

    Raises:
        InputError: scikit-learn does not have such an estimator or parameter.
    """
    from sklearn.pipeline import Pipeline, make_pipeline

    if model.steps:
        estimators = [_make_estimator(step, f"model.steps[{i}]") for i, step in enumerate(model.steps)]
        steps = make_pipeline(*estimators).steps
    else:
        settings = {"estimator": model.estimator, "parameters": model.parameters}
        steps = [("estimator", _make_estimator(settings, "model"))]
    if not isinstance(inputs, np.ndarray) and model.table == "prepared":
        steps = [*_preparation(inputs, model, steps[-1][1]), *steps]
    pipeline = Pipeline(steps)
    unseeded = [
        name
        for name, value in pipeline.get_params().items()
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    return pipeline.set_params(**dict.fromkeys(unseeded, seed))


def task_of_model(model: Any) -> TrainingTask:
    """Return the task of an estimator.

    Raises:
        InputError: The estimator is of another kind.
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
    raise InputError(
        f"model: {type(model[-1]).__name__} is not supported; expected a classifier, regressor, clusterer or "
        "transformer."
    )


def _preparation(inputs: pd.DataFrame, model: Sklearn, last: Any) -> list[tuple[str, Any]]:
    """Return the step that prepares a table for an estimator; empty if the table can be used as it is."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    text = [name for name, column in inputs.items() if column.dtype == object]
    numbers = [name for name in inputs.columns if name not in text]
    incomplete = bool(inputs.isna().to_numpy().any())
    scale = model.scale if model.scale is not None else not type(last).__module__.startswith(_SCALE_FREE)
    for_numbers = [
        *([SimpleImputer(strategy="median")] if incomplete else []),
        *([StandardScaler()] if scale else []),
    ]
    if not text:
        return [("prepare", make_pipeline(*for_numbers))] if for_numbers else []
    for_text = make_pipeline(
        *([SimpleImputer(strategy="most_frequent")] if incomplete else []),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    columns: list[tuple[str, Any, list[Any]]] = [("text", for_text, text)]
    if numbers:
        columns.insert(0, ("numbers", make_pipeline(*for_numbers) if for_numbers else "passthrough", numbers))
    return [("prepare", ColumnTransformer(columns))]


def _make_estimator(settings: dict[str, Any], where: str) -> Any:
    """Create an estimator from ``{estimator = "…", parameters = {…}}``."""
    name, parameters = settings.get("estimator"), settings.get("parameters", {})
    if set(settings) - _ESTIMATOR or not isinstance(name, str) or not isinstance(parameters, dict):
        got = ", ".join(map(str, settings)) or "nothing"
        raise InputError(f"{where}: got {got}, expected a table with 'estimator' and 'parameters'.")
    kind = all_estimators().get(name)
    if kind is None:
        near = difflib.get_close_matches(name, all_estimators(), 3)
        raise InputError(
            f"{where}: scikit-learn does not have an estimator '{name}'.",
            fix=f"did you mean {' or '.join(near)}?" if near else "give the name of a class of scikit-learn.",
        )
    arguments = {key: _make_value(value, f"{where}.parameters.{key}") for key, value in parameters.items()}
    # From the class, not an instance: some classes cannot be created without parameters.
    known = kind._get_param_names()  # type: ignore[attr-defined]  # noqa: SLF001
    unknown = next((key for key in arguments if key not in known), None)
    if unknown is not None:
        raise InputError(
            f"{where}: {name} does not have a parameter '{unknown}'.",
            fix=f"the parameters are {', '.join(known) or 'none'}.",
        )
    for key, value in arguments.items():
        check_value(key, value, f"{where}.parameters.{key}")
    try:
        estimator = kind(**arguments)
    except TypeError as error:
        raise InputError(f"{where}: {name} cannot be created: {error}.") from error
    return estimator.set_params(**_tuple_arguments(kind, arguments))


def _make_value(value: Any, where: str) -> Any:
    """Convert a parameter's value: create the estimators in it."""
    if isinstance(value, dict):
        if "estimator" in value and set(value) <= _ESTIMATOR and isinstance(value["estimator"], str):
            return _make_estimator(value, where)
        return {key: _make_value(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_make_value(item, f"{where}[{i}]") for i, item in enumerate(value)]
    return value


def _tuple_arguments(kind: type, arguments: dict[str, Any]) -> dict[str, Any]:
    """Convert lists to tuples where the default is a tuple: scikit-learn checks types, and TOML only has lists."""
    import inspect

    defaults = {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}
    return {
        name: tuple(value)
        for name, value in arguments.items()
        if isinstance(value, list) and isinstance(defaults.get(name), tuple)
    }
