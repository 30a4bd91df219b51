"""Boxes that a detection model finds, decoded from its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edgeml.core.boxes import Boxes, corners_of

__all__ = ["Detections", "detections_of"]

_MAX_BOXES = 100  # of a sample, as COCO counts
_MIN_SCORE = 0.001  # of boxes that count for average precision
_MAX_IOU = 0.7  # of two boxes of one class in a sample, above which the one with the lower score is dropped


class Detections(NamedTuple):
    """The boxes of one sample.

    Attributes:
        corners: Boxes ``[boxes, 4]`` as ``x1, y1, x2, y2``.
        scores: Their scores ``[boxes]``, the highest first.
        classes: Their class numbers ``[boxes]``.
    """

    corners: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def detections_of(outputs: Mapping[str, np.ndarray], boxes: Boxes) -> list[Detections]:
    """Decode the outputs of a detection model: the best hundred boxes of each sample, without near copies.

    Args:
        outputs: Outputs ``[samples, ...]`` by name.
        boxes: Place of the boxes in the outputs.
    """
    places, scores = outputs[boxes.output], outputs[boxes.scores]
    if boxes.output == boxes.scores:
        if places.shape[2] != 4 + boxes.objectness + len(boxes.labels):
            places = places.transpose(0, 2, 1)
        places, scores = places[..., :4], places[..., 4:]
    scores = scores if scores.ndim > 2 else scores[..., None]
    if boxes.objectness:
        scores = scores[..., :1] * scores[..., 1:]
    numbers = outputs[boxes.classes].reshape(scores.shape[:2]) if boxes.classes else scores.argmax(axis=-1)
    corners = corners_of(places, boxes.format)
    return [_best(*each) for each in zip(corners, scores.max(axis=-1), np.rint(numbers).astype(np.int64), strict=True)]


def _best(corners: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> Detections:
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= _MIN_SCORE]
    kept: list[int] = []
    while len(order) and len(kept) < _MAX_BOXES:
        best, order = order[0], order[1:]
        kept.append(int(best))
        copies = (classes[order] == classes[best]) & (_overlap(corners[best], corners[order]) > _MAX_IOU)
        order = order[~copies]
    return Detections(corners[kept], scores[kept], classes[kept])


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union of a box with each of others."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    areas = np.maximum(others[:, 2:] - others[:, :2], 0).prod(axis=1) + np.maximum(box[2:] - box[:2], 0).prod()
    return np.asarray(shared / np.maximum(areas - shared, np.finfo(np.float64).tiny))
