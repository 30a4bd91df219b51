"""What is to be learnt: data and model, held to each other before anything is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, Table
from edgeml.trainers.dataset import Dataset
from edgeml.trainers.result import Column
from edgeml.trainers.training_schema import Autoencoder, Model, Sklearn, Training, TrainingTask

__all__ = ["Problem", "posed"]

_NEED_TARGETS = ("classification", "regression")


@dataclass(frozen=True, slots=True)
class Problem:
    """Data in the form that the model takes.

    Attributes:
        data: As they were read.
        estimator: A scikit-learn pipeline, not fitted; None where a net learns.
        task: What the model does.
        x: float32 ``[samples, ...]``, or a table.
        target: int64 or text labels ``[samples]``, or float64 values; None where nothing is predicted.
        classes: The labels in the order of the scores; None where there are none.
    """

    data: Dataset
    estimator: Any
    task: TrainingTask
    x: Any
    target: np.ndarray | None
    classes: np.ndarray | None

    @property
    def columns(self) -> tuple[Column, ...] | None:
        """What the columns of a table are; None for arrays."""
        inputs = self.data.inputs
        if isinstance(inputs, np.ndarray):
            return None
        return tuple(
            Column(name=str(name), kind="text" if column.dtype == object else "numbers")
            for name, column in inputs.items()
        )

    @property
    def declaration(self) -> Declaration | None:
        """What the numbers of the model's one input mean, where that is known."""
        columns = self.columns
        if columns is None:
            return self.data.image if self.x.ndim == 4 else None
        if any(column.kind == "text" for column in columns):
            return None
        return Table(columns=tuple(column.name for column in columns))


def posed(training: Training, data: Dataset) -> Problem:
    """Holds data and model to each other.

    Raises:
        InputError: They do not fit.
    """
    estimator = None
    if isinstance(training.model, Sklearn):
        from edgeml.trainers.sklearn_models import make_model

        estimator = make_model(training.model, data.inputs, seed=training.seed)
    said = getattr(training.data, "task", None)
    task = _task(training.model, estimator, data, said)
    target = _target(task, data.target)
    # Sorted, as scikit-learn has them; of a net as the file names them.
    named = getattr(training.data, "classes", ()) if estimator is None else ()
    classes = None
    if task == "classification" and target is not None:
        classes = np.array(named) if named else np.unique(target)
    return Problem(data, estimator, task, _inputs(training.model, data.inputs), target, classes)


def _task(model: Model, estimator: Any, data: Dataset, said: TrainingTask | None) -> TrainingTask:
    if estimator is not None:
        from edgeml.trainers.sklearn_models import task_of_model

        found = task_of_model(estimator)
    elif isinstance(model, Autoencoder):
        found = "reconstruction"
    else:
        numbers = data.target is not None and data.target.dtype.kind == "f"
        found = data.task or ("regression" if numbers else "classification")
    if found in _NEED_TARGETS and data.target is None:
        raise InputError(
            f"data: there is nothing to predict, and the model does {found}.",
            fix="name data.target, or give an array y.",
        )
    told = said or (data.task if found == "regression" else None)
    if told is not None and found in _NEED_TARGETS and told != found:
        raise InputError(
            f"data: the target is for {told}, and the model does {found}.",
            fix="take another model, or mend data.task.",
        )
    return found


def _target(task: TrainingTask, target: np.ndarray | None) -> np.ndarray | None:
    """The target as the task needs it: labels as whole numbers or text, or values."""
    if task not in _NEED_TARGETS or target is None:
        return None
    if task == "regression":
        if target.dtype.kind not in "fi":
            raise InputError("data: the target is text, and the model does regression.", fix="take a classifier.")
        return target.astype(np.float64)
    if target.ndim != 1:
        raise InputError(
            f"data: y is {list(target.shape)}, and the model does classification.",
            fix="give one label for each sample.",
        )
    if target.dtype.kind == "f" and (target != np.rint(target)).any():
        raise InputError(
            "data: the target has numbers that are not whole, and the model does classification.",
            fix="take a model for regression, or name the classes by text or whole numbers.",
        )
    return target.astype(np.int64) if target.dtype.kind == "f" else target


def _inputs(model: Model, inputs: Any) -> Any:
    """The inputs in the shape that the model takes."""
    if isinstance(inputs, np.ndarray):
        return inputs.reshape(len(inputs), -1) if isinstance(model, Sklearn | Autoencoder) else inputs
    if isinstance(model, Sklearn):
        return inputs
    for name, column in inputs.items():
        if column.dtype == object or column.isna().any():
            what = "text" if column.dtype == object else "gaps"
            raise InputError(
                f"data: column '{name}' has {what}, and a net takes numbers alone.",
                fix='take kind = "sklearn", which prepares them, or leave the column out by data.columns.',
            )
    with np.errstate(over="ignore"):
        rows = inputs.to_numpy(np.float32)
    if not np.isfinite(rows).all():
        place = int(np.argmin(np.isfinite(rows).all(axis=0)))
        raise InputError(f"data: column '{inputs.columns[place]}' has values that float32 cannot hold.")
    return rows
