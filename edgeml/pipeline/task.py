"""The task of a source: stated by the caller, by the model, or inferred from the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast, get_args

import msgspec
import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.errors import InputError
from edgeml.core.source import DENSE, Head, SourceInfo, Task
from edgeml.core.system.text import as_unicode
from edgeml.core.tensors import Label, Signature, TensorSpec, holds_integers
from edgeml.core.texts import MAX_LABEL_CHARS, pads_too_much
from edgeml.pipeline.box_places import place_of_boxes
from edgeml.pipeline.truth import is_one_hot, split_evaluation, truth_by_output, with_sizes_of_truth

__all__ = ["SettledTask", "with_task", "with_thresholds"]

_OF_SKLEARN = {"transformation", "clustering"}
_STATED = [task for task in get_args(Task) if task not in {*_OF_SKLEARN, "multi-output"}]
_WITH_LABELS = {"classification", "multi-label", *DENSE}


class SettledTask(NamedTuple):
    """A source whose task is settled.

    Attributes:
        info: The source, with task and labels.
        remarks: What was assumed, and how to say otherwise.
    """

    info: SourceInfo
    remarks: tuple[str, ...] = ()


class _Known(NamedTuple):
    """Facts about one output.

    Attributes:
        spec: The output.
        guess: Task and decision that the model itself shows. A decision without a task is one that the model may have:
            its output ends in a sigmoid.
        task: Task that the caller states, or None.
        labels: Labels that the caller names, or None.
        truth: Truth of the output, or None.
    """

    spec: TensorSpec
    guess: Head
    task: Task | None
    labels: Sequence[Label] | None
    truth: np.ndarray | None


def with_task(
    info: SourceInfo,
    task: Task | Mapping[str, Task] | None,
    labels: Sequence[Label] | Mapping[str, Sequence[Label]] | None,
    evaluation: object,
    boxes: str | Mapping[str, object] | None = None,
) -> SettledTask:
    """Return the source's description with task and labels settled.

    Args:
        info: The source.
        task: The task that the caller states, of several outputs by name, or None.
        labels: The labels that the caller names, of several outputs by name, or None.
        evaluation: The caller's evaluation data, from which the task is inferred where nothing states it.
        boxes: Format of the boxes of a detection model, or the fields of `Boxes` that its outputs do not show.

    Raises:
        InputError: The task or the labels do not fit the model.
    """
    specs = info.signature.outputs
    names = [spec.name for spec in specs]
    if task == "detection" or boxes is not None:
        return _with_boxes(info, task, labels, boxes, evaluation)
    remarks: list[str] = []
    labels = labels if labels is not None else _class_names(info, evaluation, remarks)
    tasks, named = _by_output(task, names, "task"), _by_output(labels, names, "labels")
    for stated in tasks.values():
        _check_task(stated, info)
    named = {name: [each.item() if isinstance(each, np.generic) else each for each in named[name]] for name in named}
    for each in named.values():
        _check_labels(each)
    guesses = info.tasks or dict.fromkeys(names, Head(info.task, info.decision))
    known_labels = named.get(names[0]) or (info.decision.labels if info.decision is not None else ())
    truth = truth_by_output(evaluation, names, known_labels, task=tasks.get(names[0]) or info.task)
    settled = {}
    for spec in specs:
        name = spec.name
        own = truth.get(name)
        known = _Known(with_sizes_of_truth(spec, own), guesses.get(name, Head()), tasks.get(name), named.get(name), own)
        if info.framework == "sklearn":
            settled[name] = _settle_estimator(known, info)
        else:
            settled[name] = _settle(known, info, remarks)
        _check_label_axis(spec, settled[name].decision)
    outputs = tuple(
        msgspec.structs.replace(spec, meaning="scores" if settled[spec.name].decision is not None else "values")
        for spec in specs
    )
    signature = Signature(info.signature.inputs, outputs)
    first = settled[names[0]]
    if len(specs) == 1 or info.framework == "sklearn":
        settled_info = msgspec.structs.replace(
            info, task=first.task, decision=first.decision, signature=signature, heads={}
        )
    else:
        settled_info = msgspec.structs.replace(
            info, task="multi-output", decision=None, signature=signature, heads=settled
        )
    return SettledTask(settled_info, tuple(dict.fromkeys(remarks)))


def _check_label_axis(spec: TensorSpec, decision: Decision | None) -> None:
    """Refuse labels along a free size: their number differs between inputs."""
    if decision is None or len(spec.shape) < 2 or (decision.threshold is not None and not decision.independent):
        return
    axis = -1 if decision.independent or len(spec.shape) == 2 else decision.axis
    if spec.shape[axis] is None:
        raise _free_labels_error(spec)


def _free_labels_error(spec: TensorSpec) -> InputError:
    return InputError(
        f"task: '{spec.name}' has the shape {list(spec.shape)}, and labels need a fixed number of scores.",
        fix="fix the size: --size NAME=N (sizes= in Python); or say task='regression', to have values compared.",
    )


def _class_names(info: SourceInfo, evaluation: object, remarks: list[str]) -> Sequence[Label] | None:
    """Return the names of classes in a file's metadata as labels of its one output, unless the truth is numbers.

    Args:
        info: The source.
        evaluation: The caller's evaluation data.
        remarks: What was assumed is added to it.
    """
    decision, names = info.decision, info.class_names
    if not names or decision is None or decision.labels != tuple(range(len(names))):
        return None
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    truth = split_evaluation(evaluation)[1]
    if truth is not None and np.asarray(truth).dtype.kind not in "UO":
        remarks.append(f"labels are numbers, as in y; the file names its classes ({shown}), which labels= takes")
        return None
    remarks.append(f"labels are the names of classes in the file's metadata ({shown}); for others give labels=")
    return names


def _with_boxes(
    info: SourceInfo, task: object, labels: object, boxes: str | Mapping[str, object] | None, evaluation: object
) -> SettledTask:
    """Return the description of a detection model; without `boxes` the fidelity of each output is the verdict."""
    if task not in {None, "detection"}:
        raise InputError(f"boxes: only detection models have boxes, and the task is {task}.", fix="leave boxes out.")
    if info.framework == "sklearn":
        raise InputError(f"task: got 'detection', and the estimator's task is {info.task}.")
    if labels is not None:
        if isinstance(labels, Mapping) or not isinstance(labels, Sequence):
            raise InputError("labels: expected one list of str for the classes of boxes.", fix="give a list of str.")
        _check_labels(labels)
    remarks: tuple[str, ...] = ()
    places = None
    if boxes is not None or labels is not None or split_evaluation(evaluation)[1] is not None:
        places = place_of_boxes(info.signature.outputs, boxes, cast(Sequence[Label] | None, labels), evaluation)
    else:
        remarks = ("average precision needs decoded boxes, of which boxes= states the format, and true ones",)
    outputs = tuple(msgspec.structs.replace(spec, meaning="values") for spec in info.signature.outputs)
    signature = Signature(info.signature.inputs, outputs)
    settled = msgspec.structs.replace(
        info, task="detection", decision=None, heads={}, signature=signature, boxes=places
    )
    return SettledTask(settled, remarks)


def with_thresholds(info: SourceInfo, outputs: Mapping[str, np.ndarray]) -> SettledTask:
    """Return the source with 0.5 as the threshold of scores that are probabilities, as their values show.

    A network that does not visibly end in a sigmoid is taken to give logits, which decide at 0.

    Args:
        info: The source, with its task.
        outputs: Its outputs for the judged data, by name.
    """
    heads = {
        name: head
        for name, head in info.tasks.items()
        if info.framework != "sklearn" and head.decision is not None and head.decision.threshold == 0.0
    }
    remarks = []
    changed = dict(info.heads)
    decision = info.decision
    for name, head in heads.items():
        values = outputs[name]
        if values.min(initial=1.0) < 0 or values.max(initial=0.0) > 1:
            remarks.append(f"labels apply where '{name}' is above 0, as of logits; end the model in a sigmoid for 0.5")
            continue
        remarks.append(f"labels apply where '{name}' is above 0.5, since its values are between 0 and 1")
        assert head.decision is not None
        decision = msgspec.structs.replace(head.decision, threshold=0.5, probabilities=True)
        changed[name] = msgspec.structs.replace(head, decision=decision)
    if info.heads:
        return SettledTask(msgspec.structs.replace(info, heads=changed), tuple(remarks))
    return SettledTask(msgspec.structs.replace(info, decision=decision), tuple(remarks))


def _by_output(value: Any, names: Sequence[str], what: str) -> dict[str, Any]:
    """Return an argument by output name: a mapping, or the same for all outputs."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        if what == "labels" and len(names) > 1:
            raise InputError(
                f"labels: the model has {len(names)} outputs, got one list.",
                fix=f"give a dict by output name: {', '.join(names[:5])}.",
            )
        return dict.fromkeys(names, value)
    unknown = sorted(str(name) for name in value if name not in names)
    if unknown:
        raise InputError(f"{what}: got {', '.join(unknown[:5])}, and the model's outputs are {', '.join(names)}.")
    return dict(value)


def _check_task(task: object, info: SourceInfo) -> None:
    if task not in get_args(Task):
        raise InputError(f"task: {task!r:.80} is not supported.", fix=f"use one of {', '.join(_STATED)}.")
    if info.framework == "sklearn":
        if task != info.task:
            raise InputError(f"task: got {task!r}, and the estimator's task is {info.task}.")
    elif task == "clustering":
        raise InputError(
            "task='clustering' is only supported for scikit-learn clusterers.",
            fix="say task='regression' or 'classification'.",
        )
    elif task == "multi-output":
        raise InputError(
            "task='multi-output' is the task of a model with several outputs, each with a task of its own.",
            fix="give a dict from output names to tasks, or leave task out.",
        )


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


def _settle_estimator(known: _Known, info: SourceInfo) -> Head:
    """Return task and decision of a scikit-learn estimator, which states both."""
    decision = known.guess.decision
    if known.labels is not None:
        if decision is None:
            raise InputError(f"labels: only classifiers have labels, and the task is {info.task}.")
        if tuple(known.labels) != decision.labels:
            raise InputError(
                f"labels: the estimator has its own, {list(decision.labels)[:10]}.", fix="leave labels out."
            )
    return Head(info.task, decision)


def _settle(known: _Known, info: SourceInfo, remarks: list[str]) -> Head:
    """Settle the task of one output of a network; assumptions are added to `remarks`."""
    task = known.task or known.guess.task
    if holds_integers(known.spec) and task != "regression":
        return _settle_integers(known, remarks)
    task = task or _infer_task(known, info, remarks)
    inputs = [spec.shape[1:] for spec in info.signature.inputs]
    sizes = known.spec.shape[1:]
    if task == "reconstruction" and sizes != inputs[0]:
        raise InputError(
            f"task: a reconstruction has the shape of the input, {list(inputs[0])}, and the output has {list(sizes)}.",
            fix="say task='regression', with true values as y.",
        )
    if task == "anomaly" and _count(sizes) not in {1, _count(inputs[0])}:
        raise InputError(
            f"task: anomalies need one score per sample, or a reconstruction of the input {list(inputs[0])}, and the "
            f"output has {list(sizes)}.",
            fix="end the model in a single score, or in the reconstruction.",
        )
    if task not in _WITH_LABELS:
        if known.labels is not None:
            raise InputError(
                f"labels: only classifiers have labels, and the task is {task}.",
                fix="leave labels out, or state another task.",
            )
        return Head(task, None)
    decision = _decision_of(task, known)
    if known.labels is not None:
        if len(known.labels) != len(decision.labels):
            raise InputError(
                f"labels: got {len(known.labels)}, expected {len(decision.labels)}, one for each class.",
                fix="name both classes, the one below the threshold first." if len(decision.labels) == 2 else "",
            )
        decision = msgspec.structs.replace(decision, labels=tuple(known.labels))
    return Head(task, decision)


def _count(sizes: Sequence[int | None]) -> int:
    """Return the number of values of a sample."""
    return math.prod(size or 1 for size in sizes)


def _settle_integers(known: _Known, remarks: list[str]) -> Head:
    """Settle the task of an output of integers: class numbers and ids, which are not scores."""
    advice = "for the metrics of a task build from the model before its argmax"
    if known.task is not None or known.labels is not None:
        what = f"task: {known.task} needs scores" if known.task is not None else "labels: labels need scores"
        raise InputError(
            f"{what}, and '{known.spec.name}' has integers, {known.spec.dtype}.",
            fix=f"leave it out, and integers are compared with the source's; {advice}.",
        )
    if known.truth is not None:
        remarks.append(f"the integers of '{known.spec.name}' were compared with the source's, not with y; {advice}")
        return Head()
    return Head("regression")


def _decision_of(task: Task, known: _Known) -> Decision:
    """Return the rule by which an output's scores become labels.

    Raises:
        InputError: The output does not have the scores of such a task.
    """
    shape, guess = known.spec.shape, known.guess.decision
    if len(shape) == 2 and shape[1] is None:
        raise _free_labels_error(known.spec)
    is_sigmoid = guess is not None and guess.threshold is not None
    if task == "classification":
        if guess is not None and known.guess.task == "classification":
            return guess
        if len(shape) != 2 or not shape[1] or shape[1] < 2:
            raise InputError(
                f"task: got an output of shape {list(shape)}, expected a score for each class.",
                fix="say task='segmentation' for a label per pixel, 'sequence' for a label per step."
                if len(shape) > 2
                else "end the model in a softmax, or a single sigmoid.",
            )
        return Decision(tuple(range(shape[1])))
    if task == "multi-label":
        if len(shape) < 2 or (guess is not None and not is_sigmoid):
            raise InputError(
                f"task: a multi-label model has an independent score for each label, and the output of shape "
                f"{list(shape)} {'ends in a softmax' if guess is not None else 'is a single number per sample'}.",
                fix="end the model in a layer with the activation sigmoid.",
            )
        labels = tuple(range(shape[-1] or 1))
        return Decision(labels, threshold=0.5 if is_sigmoid else 0.0, probabilities=is_sigmoid, independent=True)
    return _dense_decision(task, known, is_sigmoid=is_sigmoid)


def _dense_decision(task: Task, known: _Known, *, is_sigmoid: bool) -> Decision:
    """Return the rule for a label per pixel or step: the largest score, or the threshold of a single one."""
    shape, guess = known.spec.shape, known.guess.decision
    if len(shape) < 3:
        raise InputError(
            f"task: {task} needs a label for each {'pixel' if task == 'segmentation' else 'step'}, and the output has "
            f"the shape {list(shape)}.",
            fix="say task='classification' for one label per sample.",
        )
    if guess is not None and known.guess.task in DENSE:
        return guess
    axis = 1 if len(shape) > 3 and shape[1] == 1 != shape[-1] else _label_axis(known)
    if shape[axis] == 1 or (task == "segmentation" and len(shape) == 3):
        return Decision((0, 1), threshold=0.5 if is_sigmoid else 0.0, probabilities=is_sigmoid, axis=axis)
    return Decision(tuple(range(cast(int, shape[axis]))), axis=axis)


def _label_axis(known: _Known) -> int:
    """Return the axis of the scores with a score per label: the last, or 1 where the truth or the labels say so."""
    shape, truth = known.spec.shape, known.truth
    if known.labels is not None and shape[-1] != len(known.labels) == shape[1]:
        return 1
    if truth is None or len(shape) < 4 or truth.shape[1:] == shape[1:-1] or truth.shape[1:] == (*shape[1:-1], 1):
        return -1
    if truth.shape[1:] in (shape[2:], (1, *shape[2:])):
        return 1
    return 1 if truth.shape[1:] == shape[1:] and is_one_hot(truth, 1) and not is_one_hot(truth) else -1


def _infer_task(known: _Known, info: SourceInfo, remarks: list[str]) -> Task:
    """Infer the task of an output from labels and truth, where neither the caller nor the model states it."""
    shape, labels, truth = known.spec.shape, known.labels, known.truth
    if len(shape) > 2 and (labels is not None or (truth is not None and _is_dense_truth(known))):
        return "segmentation" if len(shape) > 3 or shape[-1] == 1 else "sequence"
    if len(shape) > 2 and known.guess.decision is not None and _is_binary_truth(known):
        remarks.append("y holds nothing but 0 and 1, and was taken for masks; for values say task='regression'")
        return "segmentation"
    if known.guess.decision is not None and known.guess.decision.independent:
        return _infer_from_sigmoids(known, remarks)
    if labels is not None:
        return "classification"
    if truth is not None:
        return _infer_from_truth(shape, truth)
    if len(info.signature.outputs) == 1 and shape == info.signature.inputs[0].shape:
        remarks.append(
            "the output has the input's shape, and was compared as plain values; for an autoencoder say "
            "task='reconstruction', or 'anomaly' with y of 0 and 1"
        )
    return "regression"


def _infer_from_sigmoids(known: _Known, remarks: list[str]) -> Task:
    """Infer the task of an output of several sigmoids."""
    truth = known.truth
    if truth is not None and truth.ndim == 1:
        return "classification"
    if truth is not None and _is_binary_truth(known):
        if known.labels is None and is_one_hot(truth):
            remarks.append(
                "each row of y has a single 1, so that the model was taken for a classifier; where labels are "
                "independent say task='multi-label'"
            )
            return "classification"
        return "multi-label"
    if known.labels is not None:
        return "multi-label"
    if truth is None:
        remarks.append(
            "the sigmoids of the output were compared as plain values; where each is a label of its own say "
            "task='multi-label'"
        )
    return "regression"


def _is_dense_truth(known: _Known) -> bool:
    """Return whether the truth is a label for each position of the output."""
    shape, truth = known.spec.shape, known.truth
    assert truth is not None
    if truth.shape[1:] == shape[1:]:
        return any((shape[axis] or 1) > 1 and is_one_hot(truth, axis) for axis in (-1, 1))
    sizes = [shape[1:-1], (*shape[1:-1], 1), *((shape[2:], (1, *shape[2:])) if len(shape) > 3 else ())]
    return truth.shape[1:] in sizes and truth.dtype.kind in "iubUSO"


def _is_binary_truth(known: _Known) -> bool:
    """Return whether the truth holds 0 and 1, for each value of the output."""
    truth, sizes = known.truth, known.spec.shape[1:]
    if truth is None or truth.dtype.kind not in "fiub" or set(np.unique(truth).tolist()) != {0, 1}:
        return False
    return truth.shape[1:] in {sizes, tuple(size for size in sizes if size != 1)}


def _infer_from_truth(shape: tuple[int | None, ...], truth: np.ndarray) -> Task:
    scores = len(shape) == 2 and (shape[1] or 0) > 1
    if scores and truth.ndim == 1 and truth.dtype.kind in "iuUSO":
        return "classification"
    binary = truth.dtype.kind in "fiub" and set(np.unique(truth).tolist()) == {0, 1}
    if scores and binary and truth.shape[1:] == shape[1:] and is_one_hot(truth):
        return "classification"
    if binary and truth.reshape(len(truth), -1).shape[1:] == shape[1:]:  # logits of one class, or multi-label
        raise InputError(
            "evaluation: y holds nothing but 0 and 1, and the model does not end in a softmax or a sigmoid: it may be "
            "a classifier or not.",
            fix="say task='multi-label' for a label per output, or task='regression' to have the values compared.",
        )
    return "regression"
