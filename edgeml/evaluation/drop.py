"""Drop of the main metric from the source to an artifact, with a paired interval."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edgeml.core.records.evidence import Drop
from edgeml.core.source import Task
from edgeml.evaluation.bootstrap import NORMAL_95, RESAMPLES, mean_interval
from edgeml.evaluation.mcnemar import discordant

__all__ = ["drop_of", "matched_interval"]


def drop_of(task: Task, truth: np.ndarray, source: np.ndarray, artifact: np.ndarray, *, seed: int = 0) -> Drop | None:
    """Return the drop of the task's main metric, positive where the artifact is worse.

    Args:
        task: Task of the model.
        truth: Positions of true labels ``[samples]``, or true values.
        source: Positions of the source's labels, or the source's outputs.
        artifact: Positions of the artifact's labels, or the artifact's outputs.
        seed: Seed of the resampling.

    Returns:
        None for a task without a main metric, or where the metric is not defined on the data.
    """
    if task == "classification":
        lost, gained = discordant(truth, source, artifact)
        low, high = matched_interval(lost, gained, len(truth))
        return Drop("accuracy", (lost - gained) / len(truth), low, high, "Agresti-Min")
    if task not in {"regression", "reconstruction"}:
        return None
    targets = truth.reshape(len(truth), -1).astype(np.float64)
    before, after = (np.square(values.reshape(len(values), -1) - targets) for values in (source, artifact))
    variance = np.square(targets - targets.mean(axis=0)).mean(axis=0)  # by output
    if task == "regression":
        return _error_rise("r2", after - before, variance, seed)
    return _error_rise("relative_mse", after - before, variance.mean(), seed)


def matched_interval(lost: float, gained: float, samples: int) -> tuple[float, float]:
    """Return Agresti and Min's 95% interval of the drop of accuracy (Statistics in Medicine 24, 2005).

    Half a sample is added to each cell, so that uncertainty remains where no label flips.

    Args:
        lost: Number of samples that only the source classifies correctly.
        gained: Number of samples that only the artifact classifies correctly.
        samples: Number of all samples.
    """
    n, b, c = samples + 2, lost + 0.5, gained + 0.5
    center = (b - c) / n
    margin = NORMAL_95 * np.sqrt((b + c) - (b - c) ** 2 / n) / n
    return max(-1.0, float(center - margin)), min(1.0, float(center + margin))  # the range of a drop


def _error_rise(
    metric: Literal["r2", "relative_mse"], rises: np.ndarray, variance: np.ndarray, seed: int
) -> Drop | None:
    """Return the rise of the squared error, relative to the variance of the truth, which is held fixed.

    With a variance for each output, the mean over the samples is the drop of R², over the outputs that vary.

    Args:
        metric: Name of the metric.
        rises: Rise of the squared error ``[samples, outputs]``.
        variance: Variance of the truth, of each output or of all.
        seed: Seed of the resampling.
    """
    varies = np.broadcast_to(variance > 0, rises.shape[1:])  # not a border pixel that is always 0
    if not varies.any():
        return None
    rises = (rises / np.where(variance > 0, variance, 1.0))[:, varies].mean(axis=1)  # per sample, to resample quickly
    return Drop(metric, float(rises.mean()), *mean_interval(rises, seed), f"bootstrap of {RESAMPLES}")
