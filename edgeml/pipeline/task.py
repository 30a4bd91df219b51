"""The task of a source, from what the caller says and what the data show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import msgspec
import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.errors import InputError
from edgeml.core.source import SourceInfo, Task
from edgeml.core.tensors import Label, Signature
from edgeml.pipeline.evaluation_data import truth_of

__all__ = ["with_task"]


def with_task(info: SourceInfo, task: Task | None, labels: Sequence[Label] | None, evaluation: object) -> SourceInfo:
    """The source's description completed by what the caller says and by what the data show.

    Raises:
        InputError: The task or the labels do not fit the model.
    """
    if task is not None and task not in get_args(Task):
        raise InputError(f"task: there is no task {task!r}.", fix=f"take one of {', '.join(get_args(Task))}.")
    if labels is not None:
        labels = [label.item() if isinstance(label, np.generic) else label for label in labels]
        if not all(isinstance(label, get_args(Label)) for label in labels) or len(set(map(type, labels))) > 1:
            raise InputError("labels: got other than names, or names of several kinds.", fix="give a list of text.")
        if len(set(labels)) != len(labels):
            raise InputError("labels: two classes have the same name.")
    truth = truth_of(evaluation)
    found = task or info.task or ("classification" if labels is not None else _guess(info, truth))
    if info.framework == "sklearn" and task not in {None, info.task}:
        raise InputError(f"task: the estimator does {info.task}, not {task}.")
    if info.framework != "sklearn" and found == "clustering":
        raise InputError(
            "task: clustering is told of scikit-learn's clusterers alone.",
            fix="say task='regression' or 'classification'.",
        )
    if found != "classification":
        if labels is not None:
            raise InputError(f"labels: the task is {found}, which has none.")
        outputs = tuple(msgspec.structs.replace(spec, meaning="values") for spec in info.signature.outputs)
        return msgspec.structs.replace(
            info, task=found, decision=None, signature=Signature(info.signature.inputs, outputs)
        )
    return _classifying(info, labels)


def _classifying(info: SourceInfo, labels: Sequence[Label] | None) -> SourceInfo:
    if len(info.signature.outputs) != 1:
        raise InputError(
            f"task: a classifier has one output of scores, the model has {len(info.signature.outputs)}.",
            fix="say task='regression'.",
        )
    (output,) = info.signature.outputs
    decision = info.decision
    if decision is None:
        if len(output.shape) != 2 or not output.shape[1] or output.shape[1] < 2:
            raise InputError(
                f"task: an output of shape {list(output.shape)} has no score for each class.",
                fix="end the model in a softmax, or a single sigmoid.",
            )
        decision = Decision(tuple(range(output.shape[1])))
    if labels is not None:
        if info.framework == "sklearn" and tuple(labels) != decision.labels:
            raise InputError(
                f"labels: the estimator has its own, {list(decision.labels)[:10]}.", fix="leave labels out."
            )
        if len(labels) != len(decision.labels):
            raise InputError(f"labels: got {len(labels)}, the model tells {len(decision.labels)} classes apart.")
        decision = msgspec.structs.replace(decision, labels=tuple(labels))
    outputs = (msgspec.structs.replace(output, meaning="scores"),)
    return msgspec.structs.replace(
        info, task="classification", decision=decision, signature=Signature(info.signature.inputs, outputs)
    )


def _guess(info: SourceInfo, truth: np.ndarray | None) -> Task:
    """The task that the data show, where the model does not tell."""
    outputs, inputs = info.signature.outputs, info.signature.inputs
    if len(outputs) == 1 and truth is not None:
        return _guess_by_truth(outputs[0].shape, truth)
    if truth is None and len(outputs) == len(inputs) == 1 and outputs[0].shape == inputs[0].shape:
        return "reconstruction"
    return "regression"


def _guess_by_truth(shape: tuple[int | None, ...], truth: np.ndarray) -> Task:
    scores = len(shape) == 2 and (shape[1] or 0) > 1
    if scores and truth.ndim == 1 and truth.dtype.kind in "iuUSO":
        return "classification"
    marks = truth.dtype.kind in "fiub" and set(np.unique(truth).tolist()) == {0, 1}
    if scores and marks and truth.shape[1:] == shape[1:] and (truth.sum(axis=1) == 1).all():
        return "classification"
    if (
        marks and truth.reshape(len(truth), -1).shape[1:] == shape[1:]
    ):  # logits of one class, or several labels for a sample
        raise InputError(
            "evaluation: y holds nothing but 0 and 1, and the model does not end in a softmax or a single sigmoid: "
            "it may be a classifier or not.",
            fix="end it in one of them, or say task='regression' to have the values themselves compared.",
        )
    return "regression"
