"""Boxes of a detection model: where its outputs hold them, and in which format."""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import Struct

from edgeml.core.tensors import Label

__all__ = ["BoxFormat", "Boxes", "corners_of"]

BoxFormat = Literal["xyxy", "yxyx", "xywh", "cxcywh"]


class Boxes(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The place of decoded boxes in a model's outputs.

    Attributes:
        format: Order of a box's four numbers: corners ``xyxy`` or ``yxyx``, corner and size ``xywh``, or center and
            size ``cxcywh``.
        output: Output of the boxes, ``[batch, boxes, 4]``; or, if it is the output of the scores too, ``[batch, boxes,
            4 + classes]`` or ``[batch, 4 + classes, boxes]``.
        scores: Output of the scores ``[batch, boxes, classes]``; with `classes`, or with one class, ``[batch, boxes]``.
        classes: Output of the boxes' class numbers ``[batch, boxes]``; empty where each class has a score.
        objectness: Whether a score of any object precedes the scores of classes, which it multiplies.
        labels: Names of the classes.
    """

    format: BoxFormat
    output: str
    scores: str
    classes: str = ""
    objectness: bool = False
    labels: tuple[Label, ...] = ()


def corners_of(boxes: np.ndarray, format_: BoxFormat) -> np.ndarray:
    """Return boxes ``[..., 4]`` as ``x1, y1, x2, y2``."""
    first, second = boxes[..., :2].astype(np.float64), boxes[..., 2:].astype(np.float64)
    if format_ == "yxyx":
        return np.concatenate([first[..., ::-1], second[..., ::-1]], axis=-1)
    if format_ == "xywh":
        return np.concatenate([first, first + second], axis=-1)
    if format_ == "cxcywh":
        return np.concatenate([first - second / 2, first + second / 2], axis=-1)
    return np.concatenate([first, second], axis=-1)
