"""True labels and values of evaluation data, checked against the task of each output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from edgeml.core.decisions import Decision, label_sizes
from edgeml.core.errors import InputError
from edgeml.core.source import DENSE, Head, SourceInfo
from edgeml.core.tensors import Label, TensorSpec
from edgeml.evaluation.retrieval import MAX_RETRIEVED
from edgeml.preprocessing.csv_table import CsvColumn

__all__ = ["check_truth", "is_one_hot", "split_evaluation", "truth_by_output"]

_VALUES = {"regression", "reconstruction", "multi-label", "anomaly"}  # tasks whose truth is numbers


def split_evaluation(evaluation: object) -> tuple[object, object]:
    """Return the inputs and the truth of evaluation data; the truth is None without."""
    if isinstance(evaluation, tuple):
        if len(evaluation) != 2:
            raise InputError(f"evaluation: got a tuple of {len(evaluation)}, expected (x, y).")
        return evaluation
    return evaluation, None


def truth_by_output(
    evaluation: object, names: Sequence[str], labels: Sequence[Label] = (), *, task: str | None = None
) -> dict[str, np.ndarray]:
    """Return the truth of evaluation data by output name, not checked; empty without truth.

    Args:
        evaluation: The caller's data. The truth of several outputs is a mapping from output names, or a list of arrays
            in the outputs' order; outputs without truth may be left out of the mapping, or be None in the list.
        names: Names of the model's outputs.
        labels: The model's labels; fields of a CSV file are converted to their type.
        task: Task of the model, if known.

    Raises:
        InputError: The truth does not belong to the outputs, is not a regular array, or fields of a CSV file are
            missing or not numbers.
    """
    truth = split_evaluation(evaluation)[1]
    if truth is None:
        return {}
    if isinstance(truth, CsvColumn):
        fix = "for a classifier say task='classification'."
        truth = truth.numbers(fix=fix) if task in _VALUES else truth.labels(labels)
    if isinstance(truth, Mapping):
        unknown = sorted(str(name) for name in truth if name not in names)
        if unknown:
            raise InputError(
                f"evaluation: y has {', '.join(unknown[:5])}, and the model's outputs are {', '.join(names)}.",
                fix="name each array of y after the output that it belongs to.",
            )
        return {name: _array(truth[name], name) for name in names if truth.get(name) is not None}
    if len(names) == 1:
        return {names[0]: _array(truth)}
    if not isinstance(truth, list | tuple) or len(truth) != len(names):
        got = f"{len(truth)} arrays" if isinstance(truth, list | tuple) else type(truth).__name__
        raise InputError(
            f"evaluation: the model has {len(names)} outputs, and y is {got}.",
            fix=f"give y as a dict by output name: {', '.join(names[:5])}.",
        )
    return {name: _array(values, name) for name, values in zip(names, truth, strict=True) if values is not None}


def _array(values: object, name: str = "") -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        place = f"y of '{name}'" if name else "y"
        raise InputError(f"evaluation: {place} is not a regular array ({error}).") from error


def check_truth(truth: Mapping[str, np.ndarray], count: int, info: SourceInfo) -> dict[str, np.ndarray]:
    """Return the truth of each output in the form that the metrics of its task take; see `score_output`.

    Args:
        truth: Arrays by output name.
        count: Number of samples.
        info: The source, with its tasks.

    Raises:
        InputError: The truth does not fit its task, or the number of samples.
    """
    specs = {spec.name: spec for spec in info.signature.outputs}
    checked = {}
    for name, values in truth.items():
        try:
            if len(values.shape) == 0 or len(values) != count:
                raise InputError(f"evaluation: y has the shape {list(values.shape)}, x has {count} samples.")
            sound = _check(values, info.tasks.get(name, Head()), with_sizes_of_truth(specs[name], values))
        except InputError as error:
            if not info.heads:
                raise
            text = error.message.replace("evaluation: y", f"evaluation: y of '{name}'", 1)
            raise InputError(text, fix=error.fix) from error
        if sound is not None:
            checked[name] = sound
    return checked


def with_sizes_of_truth(spec: TensorSpec, truth: np.ndarray | None) -> TensorSpec:
    """Return an output's spec with numbers for its free sizes, from truth of its shape or with a label per position."""
    if truth is None or None not in spec.shape[1:]:
        return spec
    axes = list(range(1, len(spec.shape)))
    for own in (axes, axes[:-1], axes[1:]):
        pairs = list(zip(own, truth.shape[1:], strict=False))
        if len(own) == truth.ndim - 1 and all(spec.shape[axis] in {None, size} for axis, size in pairs):
            sizes = dict(pairs)
            shape = tuple(sizes.get(axis) if size is None else size for axis, size in enumerate(spec.shape))
            return msgspec.structs.replace(spec, shape=shape)
    return spec


def check_truth_sizes(truth: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], info: SourceInfo) -> None:
    """Check that the truth of outputs with free sizes has the sizes that the source returns.

    Args:
        truth: Arrays by output name, as `check_truth` returns them.
        outputs: Outputs of the source, by name.
        info: The source, with its tasks.

    Raises:
        InputError: It has others.
    """
    for spec in info.signature.outputs:
        if spec.name in truth and None in spec.shape[1:]:
            head, sizes = info.tasks.get(spec.name, Head()), outputs[spec.name].shape[1:]
            expected = sizes if head.decision is None else label_sizes(sizes, head.decision)
            values = truth[spec.name]
            if values.shape[1:] not in {expected, ()}:
                raise InputError(
                    f"evaluation: y of '{spec.name}' has the shape {list(values.shape)}, and for these inputs the "
                    f"model returns {list(outputs[spec.name].shape)}."
                )


def _check(truth: np.ndarray, head: Head, spec: TensorSpec) -> np.ndarray | None:
    if head.decision is not None:
        if head.task in DENSE:
            return _check_dense(truth, head.decision, spec)
        if head.decision.independent:
            return _check_multi_label(truth, head.decision, spec)
        return _label_positions(truth, head.decision)
    if head.task in {"regression", "reconstruction"}:
        return _check_values(truth, spec)
    if head.task == "anomaly":
        return _check_anomalies(truth)
    return _check_identities(truth) if head.task == "embedding" else None  # other tasks have no main metric


def _check_values(truth: np.ndarray, spec: TensorSpec) -> np.ndarray:
    sizes = spec.shape[1:]
    count = len(truth) * math.prod(size or 1 for size in sizes)
    if None in sizes or truth.dtype.kind not in "fiub" or truth.size != count:
        raise InputError(
            f"evaluation: y is {truth.dtype} of shape {list(truth.shape)}, expected numbers of shape "
            f"{[len(truth), *sizes]}, as the model returns them.",
            fix=_fix_of_values(sizes),
        )
    values = truth.astype(np.float64).reshape(len(truth), *sizes)
    if not np.isfinite(values).all():
        raise InputError("evaluation: y holds NaN or infinity.")
    return values


def _fix_of_values(sizes: Sequence[int | None]) -> str:
    if len(sizes) < 2:
        return "for a classifier say task='classification'."
    return "for a label per pixel say task='segmentation', for one per step task='sequence'."


def _check_multi_label(truth: np.ndarray, decision: Decision, spec: TensorSpec) -> np.ndarray:
    count, sizes = len(decision.labels), label_sizes(spec.shape[1:], decision)
    flat = truth.reshape(len(truth), 1) if truth.ndim == 1 and count == 1 else truth
    if flat.shape[1:] != sizes or not _is_binary(flat):
        raise InputError(
            f"evaluation: y is {truth.dtype} of shape {list(truth.shape)}, expected 0 or 1 for each of {count} labels, "
            f"{[len(truth), *sizes]}.",
            fix="scikit-learn's MultiLabelBinarizer makes such an array of lists of labels.",
        )
    return flat.astype(bool)


def _check_dense(truth: np.ndarray, decision: Decision, spec: TensorSpec) -> np.ndarray:
    sizes, count = label_sizes(spec.shape[1:], decision), len(decision.labels)
    if truth.shape[1:] == spec.shape[1:] != sizes and decision.threshold is None and is_one_hot(truth, decision.axis):
        return truth.argmax(axis=decision.axis)
    if _without_ones(truth.shape[1:]) != _without_ones(sizes):
        if truth.shape[1:] == spec.shape[1:] and _is_binary(truth):
            raise InputError(
                f"evaluation: y of shape {list(truth.shape)} is not one-hot: several classes apply to a position.",
                fix="say task='multi-label' for masks that overlap.",
            )
        one_hot = "" if decision.threshold is not None else f", or one-hot {[len(truth), *spec.shape[1:]]}"
        raise InputError(
            f"evaluation: y has the shape {list(truth.shape)}, expected a label for each position "
            f"{[len(truth), *(None if size < 0 else size for size in sizes)]}{one_hot}.",
            fix="make the labels of the output's size.",
        )
    flat = truth.reshape(len(truth), *sizes)
    if flat.dtype.kind == "f" and np.array_equal(flat, np.trunc(flat)):
        flat = flat.astype(np.int64)
    known = _known_positions(decision, flat.dtype)
    if all(key == place for key, place in known.items()) and flat.dtype.kind in "iub":
        positions = flat.astype(np.int64)
        bad = positions[(positions < -1) | (positions >= count)]
    else:
        values, inverse = np.unique(flat, return_inverse=True)
        places = [known.get(value, -1 if value == -1 else -2) for value in values.tolist()]
        positions = np.array(places, np.int64)[inverse.reshape(flat.shape)]
        bad = values[np.array(places) == -2]
    if len(bad) and bad.dtype.kind in "USO" and not any(isinstance(label, str) for label in decision.labels):
        raise InputError("evaluation: y holds text, and the classes do not have names.", fix="name them: labels=.")
    if len(bad):
        raise InputError(
            f"evaluation: y holds classes that the model does not have: {', '.join(map(str, np.unique(bad)[:5]))}; it "
            f"has {count}.",
            fix="set positions of unknown class to -1; they are not judged.",
        )
    if (positions < 0).all():
        raise InputError("evaluation: y is -1 at all positions, so that none is judged.", fix="leave y out.")
    return positions


def _without_ones(sizes: Sequence[int | None]) -> list[int | None]:
    return [size for size in sizes if size != 1]


def _check_anomalies(truth: np.ndarray) -> np.ndarray:
    if truth.size != len(truth) or not _is_binary(truth):
        raise InputError(
            f"evaluation: y is {truth.dtype} of shape {list(truth.shape)}, expected 1 for an anomaly and 0 for a "
            f"normal sample, {[len(truth)]}.",
            fix="give one 0 or 1 for each sample.",
        )
    return truth.reshape(-1).astype(bool)


def _check_identities(truth: np.ndarray) -> np.ndarray:
    if truth.size != len(truth) or len(truth) > MAX_RETRIEVED:
        raise InputError(
            f"evaluation: y has the shape {list(truth.shape)}, expected one identity for each of at most "
            f"{MAX_RETRIEVED} samples.",
            fix="give a number or text for each sample, the same for samples that belong together.",
        )
    if truth.dtype.kind == "f" and not np.isfinite(truth).all():
        raise InputError(
            "evaluation: y holds NaN or infinity, which are no identities.", fix="leave these samples out."
        )
    return np.asarray(np.unique(truth.reshape(-1), return_inverse=True)[1].reshape(-1))


def _is_binary(truth: np.ndarray) -> bool:
    return truth.dtype.kind in "fiub" and bool(np.isin(truth, (0, 1)).all())


def is_one_hot(truth: np.ndarray, axis: int = -1) -> bool:
    """Return whether an array holds a single 1 along an axis, and else 0."""
    return _is_binary(truth) and bool((truth.sum(axis=axis) == 1).all())


def _label_positions(truth: np.ndarray, decision: Decision) -> np.ndarray:
    """Convert true labels to positions in the decision's labels.

    Whole numbers that are not labels themselves count as positions.
    """
    labels = np.array(decision.labels)
    if truth.ndim == 2 and truth.shape[1] == len(labels) > 1 and truth.dtype.kind in "fiub":
        if not is_one_hot(truth):
            raise InputError(
                "evaluation: y has a column for each class, and is not one-hot.",
                fix="where several labels apply to a sample, say task='multi-label'.",
            )
        return truth.argmax(axis=1)
    if truth.ndim == 2 and truth.shape[1] == 1:
        truth = truth[:, 0]
    if truth.ndim != 1:
        raise InputError(f"evaluation: y has the shape {list(truth.shape)}, expected one label for each sample.")
    if labels.dtype.kind == "U" and (truth.dtype.kind in "OS" or _any_number(decision.labels)):
        truth = truth.astype(str)  # with numeric text as labels, 3 means the label '3', never the fourth label
    known = _known_positions(decision, truth.dtype)
    positions = [known.get(value, -1) for value in truth.tolist()]
    unseen = sorted({str(value) for value, position in zip(truth.tolist(), positions, strict=True) if position < 0})
    if unseen:
        shown = ", ".join(map(str, list(known)[:10])) + (", …" if len(known) > 10 else "")
        raise InputError(
            f"evaluation: y holds classes that the model has never seen: {', '.join(unseen[:5])}; it knows {shown}.",
            fix="leave these samples out, or correct `labels`; where y are values, say task='regression'.",
        )
    return np.array(positions, dtype=np.int64)


def _known_positions(decision: Decision, dtype: np.dtype) -> Mapping[object, int]:
    """Return the position of each label; of each number, where labels are text and the truth is numbers."""
    labels = np.array(decision.labels)
    by_position = labels.dtype.kind == "U" and dtype.kind in "iub"
    return {label: i for i, label in enumerate(range(len(labels)) if by_position else labels.tolist())}


def _any_number(labels: Sequence[Label]) -> bool:
    return any(str(label).lstrip("-").isdigit() for label in labels)
