"""Boxes of a detection model: their place in its outputs, and the true ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import cast, get_args

import msgspec
import numpy as np

from edgeml.core.boxes import Boxes, BoxFormat, corners_of
from edgeml.core.errors import InputError, MissingDependencyError
from edgeml.core.tensors import Label, TensorSpec
from edgeml.pipeline.truth import split_evaluation

__all__ = ["place_of_boxes", "true_boxes"]

_MANY = 2**31  # boxes, where their number is free
_FIELDS = ("format", "output", "scores", "classes", "objectness")
_FIX = (
    "give boxes={'format': …, 'output': NAME, 'scores': NAME}, and 'classes': NAME where class numbers are an output; "
    "for raw heads leave boxes out, so that the fidelity of each output is judged."
)


def place_of_boxes(
    outputs: Sequence[TensorSpec],
    boxes: str | Mapping[str, object] | None,
    labels: Sequence[Label] | None,
    evaluation: object,
) -> Boxes:
    """Return where a model's outputs hold its decoded boxes.

    Args:
        outputs: Outputs of the model.
        boxes: Format of the boxes, or the fields of `Boxes` that the outputs do not show.
        labels: Names of the classes, or None.
        evaluation: The caller's evaluation data, of which the classes count where no output has a score for each.

    Raises:
        InputError: The format is not stated, or the outputs do not hold decoded boxes.
    """
    if not isinstance(boxes, str | Mapping | None):
        raise InputError(f"boxes: got {type(boxes).__name__}, expected a format, or a dict with it.", fix=_FIX)
    stated = {"format": boxes} if isinstance(boxes, str) else dict(boxes or {})
    unknown = sorted(set(stated) - set(_FIELDS))
    if unknown or stated.get("format") not in get_args(BoxFormat):
        got = f"the unknown field {unknown[0]!r:.40}" if unknown else f"the format {stated.get('format')!r:.40}"
        raise InputError(
            f"boxes: got {got}, expected a format of {', '.join(get_args(BoxFormat))}.",
            fix="say boxes='cxcywh', or another format that the model's boxes have.",
        )
    fields: dict[str, object] = {**_places(outputs, stated), **stated}
    if labels is not None and "objectness" not in stated and fields["output"] == fields["scores"]:
        sizes = next((spec.shape[1:] for spec in outputs if spec.name == fields["output"]), ())
        fields["objectness"] = 4 + len(labels) not in sizes and 5 + len(labels) in sizes
    try:
        places = msgspec.convert(fields, type=Boxes)
    except msgspec.ValidationError as error:
        raise InputError(f"boxes: {error}.", fix=_FIX) from error
    count = _count_classes(outputs, places, labels, evaluation)
    if labels is not None and len(labels) != count:
        raise InputError(
            f"labels: got {len(labels)}, expected {count}, one for each class of boxes.",
            fix="where a score of any object precedes the classes, give boxes={'format': …, 'objectness': True}.",
        )
    return msgspec.structs.replace(places, labels=tuple(labels) if labels is not None else tuple(range(count)))


def _places(outputs: Sequence[TensorSpec], stated: Mapping[str, object]) -> dict[str, str]:
    """Return the outputs of boxes and scores, where the shapes show them."""
    if "output" in stated and "scores" in stated:
        return {}
    if len(outputs) == 1 and len(outputs[0].shape) == 3:
        return dict.fromkeys(("output", "scores"), outputs[0].name)
    places = [spec.name for spec in outputs if len(spec.shape) == 3 and spec.shape[2] == 4]
    others = [spec.name for spec in outputs if spec.name not in places]
    if len(places) == len(others) == 1:
        return {"output": places[0], "scores": others[0]}
    shapes = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in outputs)
    raise InputError(f"boxes: the outputs {shapes} do not show which are boxes and which scores.", fix=_FIX)


def _count_classes(
    outputs: Sequence[TensorSpec], places: Boxes, labels: Sequence[Label] | None, evaluation: object
) -> int:
    """Return the number of classes, and check the shapes of the outputs."""
    shapes = {spec.name: [_MANY if size is None else size or 1 for size in spec.shape[1:]] for spec in outputs}
    for name in filter(None, (places.output, places.scores, places.classes)):
        if name not in shapes:
            raise InputError(f"boxes: output not found: '{name}'; the model has {', '.join(shapes)}.")
    boxes, scores = shapes[places.output], shapes[places.scores]
    if places.output == places.scores:
        columns = min(boxes) if len(boxes) == 2 else 0
        if labels is not None and 4 + places.objectness + len(labels) in boxes:
            columns = 4 + places.objectness + len(labels)
        count = columns - 4 - places.objectness
    else:
        is_sound = len(boxes) == 2 and boxes[1] == 4 and scores[:1] == boxes[:1] and len(scores) < 3
        count = (scores[1] if len(scores) > 1 else 1) - places.objectness if is_sound else 0
    if count < 1 or (places.classes and (count != 1 or shapes[places.classes][:1] != scores[:1])):
        raise InputError(
            f"boxes: got outputs {', '.join(f'{spec.name} {list(spec.shape[1:])}' for spec in outputs)}, expected four "
            "numbers and a score per class for each box.",
            fix=_FIX,
        )
    if not places.classes:
        return count
    truth = split_evaluation(evaluation)[1]
    if labels is not None or truth is None:
        return len(labels or (0,))
    return int(_padded(truth)[..., 4].max(initial=0)) + 1


def true_boxes(truth: object, count: int, places: Boxes) -> np.ndarray:
    """Return the true boxes as `score_detections` takes them.

    Args:
        truth: For each sample its boxes ``[boxes, 5]``: four numbers in the format of the model's boxes, and the class
            number, which is -1 for padding; or one array ``[samples, boxes, 5]``.
        count: Number of samples.
        places: Place and format of the model's boxes.

    Raises:
        InputError: The truth does not have that form.
        MissingDependencyError: The average precision that they are for needs an extra.
    """
    if importlib.util.find_spec("pycocotools") is None:  # before the conversions, whose work would be lost
        raise MissingDependencyError("Average precision", "detection")
    boxes = _padded(truth)
    if len(boxes) != count:
        raise InputError(f"evaluation: y has boxes of {len(boxes)} samples, x has {count} samples.")
    numbers = boxes[..., 4]
    if (numbers != np.trunc(numbers)).any() or numbers.max(initial=-1) >= len(places.labels):
        raise InputError(
            f"evaluation: y holds the class number {numbers.max(initial=-1):g}, and the model has {len(places.labels)} "
            "classes.",
            fix="count classes from 0, in the order of the scores.",
        )
    corners = corners_of(boxes[..., :4], places.format)
    is_reversed = ((corners[..., 2:] < corners[..., :2]).any(axis=-1) & (numbers >= 0)).any(axis=-1)
    if is_reversed.any():
        raise InputError(
            f"evaluation: y has a box in sample {np.argmax(is_reversed)} that ends before it begins, by the format "
            f"{places.format}.",
            fix="give true boxes in the format of the model's.",
        )
    return np.concatenate([corners, numbers[..., None]], axis=-1)


def _padded(truth: object) -> np.ndarray:
    expected = "expected the boxes of each sample, [boxes, 5]: four numbers and the class number"
    try:
        rows = [np.asarray(row, np.float64) for row in cast(Sequence[object], truth)]
    except (TypeError, ValueError) as error:
        raise InputError(f"evaluation: y is not a list of arrays of boxes; {expected}.") from error
    rows = [row.reshape(0, 5) if row.size == 0 else row for row in rows]
    for number, row in enumerate(rows):
        if row.ndim != 2 or row.shape[1] != 5:
            raise InputError(f"evaluation: y has boxes of the shape {list(row.shape)} for sample {number}; {expected}.")
        if not np.isfinite(row).all():
            raise InputError(f"evaluation: y holds NaN or infinity in the boxes of sample {number}.")
    padded = np.full((len(rows), max((len(row) for row in rows), default=0), 5), -1.0)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded
