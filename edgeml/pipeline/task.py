"""The task of a source: stated by the caller, by the model, or inferred from the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import msgspec
import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.errors import InputError
from edgeml.core.source import SourceInfo, Task
from edgeml.core.system.text import as_unicode
from edgeml.core.tensors import Label, Signature
from edgeml.core.texts import MAX_LABEL_CHARS, pads_too_much
from edgeml.pipeline.evaluation_data import truth_of

__all__ = ["with_task"]


def with_task(info: SourceInfo, task: Task | None, labels: Sequence[Label] | None, evaluation: object) -> SourceInfo:
    """Return the source's description with task and labels settled.

    Args:
        info: The source.
        task: The task that the caller states, or None.
        labels: The labels that the caller names, or None.
        evaluation: The caller's evaluation data, from which the task is inferred where nothing states it.

    Raises:
        InputError: The task or the labels do not fit the model.
    """
    if task is not None and task not in get_args(Task):
        raise InputError(f"task: {task!r} is not supported.", fix=f"use one of {', '.join(get_args(Task))}.")
    if labels is not None:
        labels = [label.item() if isinstance(label, np.generic) else label for label in labels]
        _check_labels(labels)
    known = labels or (info.decision.labels if info.decision is not None else ())
    truth = truth_of(evaluation, known, values=(task or info.task) in {"regression", "reconstruction"})
    settled = task or info.task or ("classification" if labels is not None else _infer_task(info, truth))
    if info.framework == "sklearn" and task not in {None, info.task}:
        raise InputError(f"task: got {task!r}, and the estimator's task is {info.task}.")
    if info.framework != "sklearn" and settled == "clustering":
        raise InputError(
            "task='clustering' is only supported for scikit-learn clusterers.",
            fix="say task='regression' or 'classification'.",
        )
    if settled != "classification":
        if labels is not None:
            raise InputError(f"labels: only classifiers have labels, and the task is {settled}.")
        outputs = tuple(msgspec.structs.replace(spec, meaning="values") for spec in info.signature.outputs)
        return msgspec.structs.replace(
            info, task=settled, decision=None, signature=Signature(info.signature.inputs, outputs)
        )
    return _with_decision(info, labels)


def _check_labels(labels: Sequence[object]) -> None:
    expected = "expected a list of str, or of numbers"
    indices: dict[object, int] = {}
    for i, label in enumerate(labels):
        if not isinstance(label, get_args(Label)):
            raise InputError(f"labels: {expected}, got {type(label).__name__} at index {i}.", fix="give a list of str.")
        if type(label) is not type(labels[0]):
            raise InputError(
                f"labels: {expected}, got {type(labels[0]).__name__} at index 0 and {type(label).__name__} at index "
                f"{i}.",
                fix="give a list of str.",
            )
        if indices.setdefault(label, i) != i:
            raise InputError(f"labels: {label!r:.80} is at index {indices[label]} and at index {i}.")
        if isinstance(label, str) and as_unicode(label) != label:
            raise InputError(f"labels: {label!r:.80} at index {i} is not valid Unicode.")
        if isinstance(label, str) and len(label) > MAX_LABEL_CHARS:
            raise InputError(f"labels: got {len(label)} characters at index {i}, expected at most {MAX_LABEL_CHARS}.")
    texts = [label for label in labels if isinstance(label, str)]
    if pads_too_much(texts):
        raise InputError(
            f"labels: got {len(texts)} labels, few of them far longer than the others.", fix="shorten them."
        )


def _with_decision(info: SourceInfo, labels: Sequence[Label] | None) -> SourceInfo:
    if len(info.signature.outputs) != 1:
        raise InputError(
            f"task: a classifier has one output of scores, and the model has {len(info.signature.outputs)} outputs.",
            fix="say task='regression'.",
        )
    (output,) = info.signature.outputs
    decision = info.decision
    if decision is None:
        if len(output.shape) != 2 or not output.shape[1] or output.shape[1] < 2:
            raise InputError(
                f"task: got an output of shape {list(output.shape)}, expected a score for each class.",
                fix="end the model in a softmax, or a single sigmoid.",
            )
        decision = Decision(tuple(range(output.shape[1])))
    if labels is not None:
        if info.framework == "sklearn" and tuple(labels) != decision.labels:
            raise InputError(
                f"labels: the estimator has its own, {list(decision.labels)[:10]}.", fix="leave labels out."
            )
        if len(labels) != len(decision.labels):
            raise InputError(f"labels: got {len(labels)}, expected {len(decision.labels)}, one for each class.")
        decision = msgspec.structs.replace(decision, labels=tuple(labels))
    outputs = (msgspec.structs.replace(output, meaning="scores"),)
    return msgspec.structs.replace(
        info, task="classification", decision=decision, signature=Signature(info.signature.inputs, outputs)
    )


def _infer_task(info: SourceInfo, truth: np.ndarray | None) -> Task:
    """Infer the task from the data, for a model that does not state it."""
    outputs, inputs = info.signature.outputs, info.signature.inputs
    if len(outputs) == 1 and truth is not None:
        return _infer_from_truth(outputs[0].shape, truth)
    if truth is None and len(outputs) == len(inputs) == 1 and outputs[0].shape == inputs[0].shape:
        return "reconstruction"
    return "regression"


def _infer_from_truth(shape: tuple[int | None, ...], truth: np.ndarray) -> Task:
    scores = len(shape) == 2 and (shape[1] or 0) > 1
    if scores and truth.ndim == 1 and truth.dtype.kind in "iuUSO":
        return "classification"
    binary = truth.dtype.kind in "fiub" and set(np.unique(truth).tolist()) == {0, 1}
    if scores and binary and truth.shape[1:] == shape[1:] and (truth.sum(axis=1) == 1).all():
        return "classification"
    if binary and truth.reshape(len(truth), -1).shape[1:] == shape[1:]:  # logits of one class, or multi-label
        raise InputError(
            "evaluation: y holds nothing but 0 and 1, and the model does not end in a softmax or a single sigmoid: "
            "it may be a classifier or not.",
            fix="end it in one of them, or say task='regression' to have the values themselves compared.",
        )
    return "regression"
