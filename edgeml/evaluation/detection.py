"""Average precision of boxes, by COCO's own evaluation."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeml.core.boxes import Boxes
from edgeml.core.records.evidence import Drop, Metrics
from edgeml.core.records.evidence_details import LabelScore
from edgeml.evaluation.bootstrap import NORMAL_95
from edgeml.evaluation.box_decoding import Detections
from edgeml.evaluation.tasks import TaskScores

__all__ = ["score_detections"]

_GROUPS = 20  # of samples, each of which the jackknife leaves out once


def score_detections(
    boxes: Boxes, truth: np.ndarray, source: Sequence[Detections], artifact: Sequence[Detections]
) -> TaskScores:
    """Return mean average precision over IoU thresholds of 0.50 to 0.95, of source and artifact, and the drop.

    Args:
        boxes: Place and labels of the boxes.
        truth: True boxes ``[samples, boxes, 5]``: corners ``x1, y1, x2, y2`` and class number, which is negative for
            padding.
        source: Boxes of the source by sample.
        artifact: Boxes of the artifact by sample.
    """
    evaluations = [_evaluate(truth, each, len(boxes.labels)) for each in (source, artifact)]
    samples = np.arange(len(truth))
    before, after = (_precision(each, samples) for each in evaluations)
    metrics = [Metrics(mean_average_precision=_mean(each)) for each in (before, after)]
    label_scores = tuple(
        LabelScore(label, *(_mean(each[..., k]) for each in (before, after))) for k, label in enumerate(boxes.labels)
    )
    value = _mean(before)
    if value is None:
        return TaskScores(metrics[0], metrics[1], None, label_scores)
    drop = value - (_mean(after) or 0.0)
    low, high = _jackknife(evaluations, samples, drop)
    return TaskScores(
        metrics[0], metrics[1], Drop("mean_average_precision", drop, low, high, f"jackknife of {_GROUPS}"), label_scores
    )


def _evaluate(truth: np.ndarray, detections: Sequence[Detections], classes: int) -> Any:
    """Match boxes with true ones; returns pycocotools' `COCOeval`, of which `_precision` accumulates the matches."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = [
        {"id": 0, "image_id": row, "category_id": int(box[4]), "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0}
        for row, rows in enumerate(truth)
        for box in rows[rows[:, 4] >= 0]
        for bbox in [[*box[:2].tolist(), *(box[2:4] - box[:2]).tolist()]]
    ]
    for number, annotation in enumerate(annotations, start=1):  # pycocotools takes 0 for no match
        annotation["id"] = number
    results = [
        [row, x1, y1, x2 - x1, y2 - y1, score, number]
        for row, each in enumerate(detections)
        for (x1, y1, x2, y2), score, number in zip(
            each.corners.tolist(), each.scores.tolist(), each.classes.tolist(), strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        dataset = COCO()
        dataset.dataset = {
            "images": [{"id": row} for row in range(len(truth))],
            "annotations": annotations,
            "categories": [{"id": number} for number in range(classes)],
        }
        dataset.createIndex()
        own = dataset.loadRes(np.array(results)) if results else _without_boxes(dataset)
        evaluation = COCOeval(dataset, own, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e12]], ["all"]
        evaluation.evaluate()
    return evaluation


def _without_boxes(dataset: Any) -> Any:
    empty = type(dataset)()
    empty.dataset = {**dataset.dataset, "annotations": []}
    empty.createIndex()
    return empty


def _precision(evaluation: Any, samples: np.ndarray) -> np.ndarray:
    """Return precision over some samples ``[thresholds, recalls, classes]``; -1 for a class without true boxes."""
    kept, count = set(samples.tolist()), len(evaluation.params.imgIds)
    matches = evaluation.evalImgs  # by class, then by sample
    evaluation.evalImgs = [each if place % count in kept else None for place, each in enumerate(matches)]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    evaluation.evalImgs = matches
    return np.asarray(evaluation.eval["precision"][:, :, :, 0, -1])


def _mean(precision: np.ndarray) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _jackknife(evaluations: Sequence[Any], samples: np.ndarray, drop: float) -> tuple[float, float]:
    """Return the 95% interval of the drop, from the drops without one group of samples after the other."""
    groups = [samples[start::_GROUPS] for start in range(min(_GROUPS, len(samples)))]
    if len(groups) < 2:
        return drop, drop
    drops = []
    for group in groups:
        rest = np.setdiff1d(samples, group)
        before, after = (_mean(_precision(each, rest)) for each in evaluations)
        drops.append((before or 0.0) - (after or 0.0))
    margin = NORMAL_95 * float(np.sqrt((len(groups) - 1) * np.var(drops)))
    return max(-1.0, drop - margin), min(1.0, drop + margin)
