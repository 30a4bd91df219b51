"""Metrics and drop of the tasks with several labels for a sample, of anomaly scores and of embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.records.evidence import Drop, Metrics
from edgeml.core.records.evidence_details import LabelScore
from edgeml.core.source import DENSE, Head, Metric
from edgeml.evaluation.bootstrap import RESAMPLES, statistic_interval
from edgeml.evaluation.drop import drop_of, matched_interval
from edgeml.evaluation.label_counts import (
    count_by_label,
    count_by_position,
    f1_by_label,
    iou_by_label,
    mean_f1,
    mean_iou,
)
from edgeml.evaluation.metrics import metrics_of
from edgeml.evaluation.retrieval import mean_cosine, retrieval_hits
from edgeml.evaluation.roc import area_drop_interval, area_under_curve

__all__ = ["Answers", "TaskScores", "anomaly_scores", "score_output"]

_NEIGHBORS = 5


class Answers(NamedTuple):
    """The answers of a source or an artifact by one output.

    Attributes:
        values: The output ``[samples, ...]``.
        positions: Positions of its labels ``[samples, ...]``; None for an output without a decision.
    """

    values: np.ndarray
    positions: np.ndarray | None = None


class TaskScores(NamedTuple):
    """The figures of one output against the truth.

    Attributes:
        source: Metrics of the source.
        artifact: Metrics of the artifact.
        drop: Drop of the main metric; None where the metric is not defined on the data.
        label_scores: Main metric of each label, of tasks in which it is a mean over labels.
    """

    source: Metrics
    artifact: Metrics
    drop: Drop | None
    label_scores: tuple[LabelScore, ...] = ()


def score_output(
    head: Head, truth: np.ndarray, source: Answers, artifact: Answers, inputs: np.ndarray, *, seed: int = 0
) -> TaskScores:
    """Return the figures of one output against the truth.

    Args:
        head: Task of the output.
        truth: Truth of the task: positions of labels ``[samples]`` or ``[samples, ...]``, negative where unknown; bool
            ``[samples, labels]`` of a multi-label model; bool ``[samples]`` of anomalies; identities ``[samples]`` of
            embeddings; else values.
        source: Answers of the source.
        artifact: Answers of the artifact.
        inputs: The first input ``[samples, ...]``, which an autoencoder's output is compared with to score anomalies.
        seed: Seed of the resampling.
    """
    both = source, artifact
    if head.task == "multi-label":
        return _score_multi_label(head.decision, truth, both, seed)
    if head.task in DENSE:
        return _score_dense(head, truth, both, seed)
    if head.task == "anomaly":
        return _score_anomalies(truth, [anomaly_scores(each.values, inputs) for each in both])
    if head.task == "embedding":
        return _score_embeddings(truth, both)
    assert head.task is not None
    metrics = [metrics_of(head.task, truth, each.values, each.positions) for each in both]
    answers = [each.values if each.positions is None else each.positions for each in both]
    return TaskScores(metrics[0], metrics[1], drop_of(head.task, truth, answers[0], answers[1], seed=seed))


def anomaly_scores(output: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return a score per sample ``[samples]``, higher for anomalies.

    Args:
        output: One score per sample, or the reconstructed inputs, of which the mean squared error is the score.
        inputs: Inputs ``[samples, ...]``.
    """
    if output.size == len(output):
        return output.reshape(-1)
    error = output.reshape(len(output), -1).astype(np.float64) - inputs.reshape(len(inputs), -1)
    return np.asarray(np.square(error).mean(axis=1))


def _score_multi_label(
    decision: Decision | None, truth: np.ndarray, answers: tuple[Answers, Answers], seed: int
) -> TaskScores:
    assert decision is not None
    counts = [count_by_label(truth, _positions(each)) for each in answers]
    metrics = [
        Metrics(
            accuracy=float((truth.astype(bool) == _positions(each).astype(bool)).all(axis=-1).mean()),
            f1=float(mean_f1(count.sum(axis=0))),
            auc=_mean_area(truth, each.values),
        )
        for each, count in zip(answers, counts, strict=True)
    ]
    drop = _drop_of_mean("f1", mean_f1, counts, seed)
    return TaskScores(metrics[0], metrics[1], drop, _by_label(decision, f1_by_label, counts))


def _score_dense(head: Head, truth: np.ndarray, answers: tuple[Answers, Answers], seed: int) -> TaskScores:
    assert head.decision is not None
    counts = [count_by_position(truth, _positions(each), len(head.decision.labels)) for each in answers]
    known = truth >= 0
    right = [(truth == _positions(each)) & known for each in answers]
    accuracies = [float(hits.sum() / max(known.sum(), 1)) for hits in right]
    label_scores = _by_label(head.decision, iou_by_label if head.task == "segmentation" else f1_by_label, counts)
    if head.task == "segmentation":
        metrics = [
            Metrics(accuracy=accuracy, mean_iou=float(mean_iou(count.sum(axis=0))))
            for accuracy, count in zip(accuracies, counts, strict=True)
        ]
        return TaskScores(metrics[0], metrics[1], _drop_of_mean("mean_iou", mean_iou, counts, seed), label_scores)
    metrics = [
        Metrics(accuracy=accuracy, f1=_present_f1(count.sum(axis=0)))
        for accuracy, count in zip(accuracies, counts, strict=True)
    ]
    by_sample = np.stack([hits.reshape(len(truth), -1).sum(axis=1) for hits in (*right, known)], axis=1)
    drop = None
    if known.any():
        drop = _drop("accuracy", accuracies[0] - accuracies[1], _lost_share, by_sample.astype(np.float64), seed)
    return TaskScores(metrics[0], metrics[1], drop, label_scores)


def _lost_share(sums: np.ndarray) -> np.ndarray:
    return np.asarray((sums[:, 0] - sums[:, 1]) / np.maximum(sums[:, 2], 1))


def _present_f1(counts: np.ndarray) -> float:
    """Return the mean F1 score over the labels that occur, as scikit-learn's `f1_score` of one label per step."""
    return float(f1_by_label(counts)[counts.sum(axis=0) > 0].mean())


def _score_anomalies(truth: np.ndarray, scores: list[np.ndarray]) -> TaskScores:
    positive = truth.astype(bool)
    areas = [area_under_curve(positive, each) for each in scores]
    drop = None
    if areas[0] is not None and areas[1] is not None and min(positive.sum(), (~positive).sum()) > 1:
        low, high = area_drop_interval(positive, scores[0], scores[1])
        drop = Drop("auc", areas[0] - areas[1], low, high, "DeLong")
    return TaskScores(Metrics(auc=areas[0]), Metrics(auc=areas[1]), drop)


def _score_embeddings(truth: np.ndarray, answers: tuple[Answers, Answers]) -> TaskScores:
    hits = [retrieval_hits(truth, each.values, 1) for each in answers]
    near = [retrieval_hits(truth, each.values, _NEIGHBORS) for each in answers]
    if not len(hits[0]):
        return TaskScores(Metrics(cosine=1.0), Metrics(cosine=mean_cosine(answers[0].values, answers[1].values)), None)
    metrics = [
        Metrics(
            recall_at_1=float(first.mean()),
            recall_at_5=float(several.mean()),
            cosine=mean_cosine(answers[0].values, each.values),
        )
        for each, first, several in zip(answers, hits, near, strict=True)
    ]
    lost, gained = int((hits[0] & ~hits[1]).sum()), int((~hits[0] & hits[1]).sum())
    low, high = matched_interval(lost, gained, len(hits[0]))
    return TaskScores(
        metrics[0], metrics[1], Drop("recall_at_1", (lost - gained) / len(hits[0]), low, high, "Agresti-Min")
    )


def _drop_of_mean(
    metric: Metric, mean: Callable[[np.ndarray], np.ndarray], counts: list[np.ndarray], seed: int
) -> Drop:
    """Return the drop of a mean over labels, from counts ``[samples, 3, labels]`` of source and artifact."""
    paired = np.stack(counts, axis=1)

    def drop(sums: np.ndarray) -> np.ndarray:
        return np.asarray(mean(sums[:, 0]) - mean(sums[:, 1]))

    return _drop(metric, float(drop(paired.sum(axis=0)[None])[0]), drop, paired, seed)


def _drop(
    metric: Metric, value: float, statistic: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, seed: int
) -> Drop:
    low, high = statistic_interval(statistic, counts, seed)
    return Drop(metric, value, low, high, f"bootstrap of {RESAMPLES}")


def _by_label(
    decision: Decision, by_label: Callable[[np.ndarray], np.ndarray], counts: list[np.ndarray]
) -> tuple[LabelScore, ...]:
    totals = [each.sum(axis=0) for each in counts]
    occurs = [total.sum(axis=0) > 0 for total in totals]
    scores = [by_label(total) for total in totals]
    return tuple(
        LabelScore(
            label, *(float(score[i]) if present[i] else None for score, present in zip(scores, occurs, strict=True))
        )
        for i, label in enumerate(decision.labels)
    )


def _positions(answers: Answers) -> np.ndarray:
    assert answers.positions is not None
    return answers.positions


def _mean_area(truth: np.ndarray, scores: np.ndarray) -> float | None:
    truth, scores = (each.reshape(-1, truth.shape[-1]) for each in (truth, scores))
    areas = [area_under_curve(truth[:, i].astype(bool), scores[:, i]) for i in range(truth.shape[1])]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if len(defined) == len(areas) else None
