"""Match data and model before training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, Table
from edgeml.trainers.dataset import Dataset
from edgeml.trainers.result import Column
from edgeml.trainers.training_schema import Autoencoder, Model, Sklearn, Training, TrainingTask

__all__ = ["Problem"]

_NEED_TARGETS = ("classification", "regression")


@dataclass(frozen=True, slots=True)
class Problem:
    """A learning problem: the data in the form that the model accepts.

    Attributes:
        data: The data as read from files.
        estimator: A scikit-learn pipeline, not fitted; None for a net.
        task: Task of the model.
        x: float32 ``[samples, ...]``, or a table.
        target: int64 or text labels ``[samples]``, or float64 values; None for models that predict nothing.
        classes: The labels in the order of the scores; None for models that are not classifiers.
    """

    data: Dataset
    estimator: Any
    task: TrainingTask
    x: Any
    target: np.ndarray | None
    classes: np.ndarray | None

    @classmethod
    def from_training(cls, training: Training, data: Dataset) -> Problem:
        """Match a training's model and its data.

        Raises:
            InputError: Model and data do not fit.
        """
        estimator = None
        if isinstance(training.model, Sklearn):
            from edgeml.trainers.sklearn_models import make_model

            estimator = make_model(training.model, data.inputs, seed=training.seed)
        task = _task(training.model, estimator, data, getattr(training.data, "task", None))
        target = _target(task, data.target)
        # Sorted, as in scikit-learn; for nets in the order of the training file.
        names = getattr(training.data, "classes", ()) if estimator is None else ()
        classes = None
        if task == "classification" and target is not None:
            classes = np.array(names) if names else np.unique(target)
        return cls(data, estimator, task, _inputs(training.model, data.inputs), target, classes)

    @property
    def columns(self) -> tuple[Column, ...] | None:
        """Names and kinds of a table's columns; None for arrays."""
        inputs = self.data.inputs
        if isinstance(inputs, np.ndarray):
            return None
        return tuple(
            Column(name=str(name), kind="text" if column.dtype == object else "numbers")
            for name, column in inputs.items()
        )

    @property
    def declaration(self) -> Declaration | None:
        """Meaning of the values of the model's single input, if known."""
        columns = self.columns
        if columns is None:
            return self.data.image if self.x.ndim == 4 else None
        if any(column.kind == "text" for column in columns):
            return None
        return Table(columns=tuple(column.name for column in columns))


def _task(model: Model, estimator: Any, data: Dataset, stated: TrainingTask | None) -> TrainingTask:
    """Return the model's task, if it fits the data's."""
    if estimator is not None:
        from edgeml.trainers.sklearn_models import task_of_model

        task = task_of_model(estimator)
    elif isinstance(model, Autoencoder):
        task = "reconstruction"
    else:
        numbers = data.target is not None and data.target.dtype.kind == "f"
        task = data.task or ("regression" if numbers else "classification")
    if task in _NEED_TARGETS and data.target is None:
        raise InputError(
            f"data: the model does {task}, which needs a target.",
            fix="name the column in data.target, or give an array y.",
        )
    expected = stated or (data.task if task == "regression" else None)
    if expected is not None and task in _NEED_TARGETS and expected != task:
        raise InputError(
            f"data: the target is for {expected}, and the model does {task}.",
            fix="use another model, or correct data.task.",
        )
    return task


def _target(task: TrainingTask, target: np.ndarray | None) -> np.ndarray | None:
    """Convert the target for the task: to whole numbers or text as labels, or to values."""
    if task not in _NEED_TARGETS or target is None:
        return None
    if task == "regression":
        if target.dtype.kind not in "fi":
            raise InputError("data: the target is text, and the model does regression.", fix="use a classifier.")
        return target.astype(np.float64)
    if target.ndim != 1:
        raise InputError(
            f"data: y is {list(target.shape)}, and the model does classification.",
            fix="give one label for each sample.",
        )
    if target.dtype.kind == "f" and (target != np.rint(target)).any():
        raise InputError(
            "data: the target has numbers that are not whole, and the model does classification.",
            fix="use a model for regression, or name the classes by text or whole numbers.",
        )
    return target.astype(np.int64) if target.dtype.kind == "f" else target


def _inputs(model: Model, inputs: Any) -> Any:
    """Convert the inputs to the shape that the model accepts."""
    if isinstance(inputs, np.ndarray):
        return inputs.reshape(len(inputs), -1) if isinstance(model, Sklearn | Autoencoder) else inputs
    if isinstance(model, Sklearn):
        return inputs
    for name, column in inputs.items():
        if column.dtype == object or column.isna().any():
            what = "text" if column.dtype == object else "missing values"
            raise InputError(
                f"data: column '{name}' has {what}, and nets support only numbers.",
                fix=f"use kind = \"sklearn\", which prepares them, or leave the column out: data.drop = ['{name}'].",
            )
    with np.errstate(over="ignore"):
        rows = inputs.to_numpy(np.float32)
    if not np.isfinite(rows).all():
        place = int(np.argmin(np.isfinite(rows).all(axis=0)))
        raise InputError(f"data: column '{inputs.columns[place]}' has values that float32 cannot hold.")
    return rows
