"""How far the main metric falls from the source to an artifact, with a paired interval."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edgeml.core.records.evidence import Drop
from edgeml.core.source import Task
from edgeml.evaluation.bootstrap import NORMAL_95, RESAMPLES, mean_interval
from edgeml.evaluation.mcnemar import discordant

__all__ = ["drop_of", "matched_interval"]


def drop_of(task: Task, truth: np.ndarray, source: np.ndarray, artifact: np.ndarray, *, seed: int = 0) -> Drop | None:
    """The drop of the task's main metric, positive where the artifact is worse.

    Args:
        task: Which.
        truth: Positions of true labels ``[samples]``, or true values.
        source: Positions of the source's labels, or its outputs.
        artifact: The artifact's.
        seed: Of the resampling.

    Returns:
        None for a task without a main metric, or where it is not defined on the data.
    """
    if task == "classification":
        lost, gained = discordant(truth, source, artifact)
        low, high = matched_interval(lost, gained, len(truth))
        return Drop("accuracy", (lost - gained) / len(truth), low, high, "Agresti-Min")
    if task not in {"regression", "reconstruction"}:
        return None
    wanted = truth.reshape(len(truth), -1).astype(np.float64)
    before, after = (np.square(values.reshape(len(values), -1) - wanted) for values in (source, artifact))
    spread = np.square(wanted - wanted.mean(axis=0)).mean(axis=0)  # by output
    if task == "regression":
        return _rise("r2", after - before, spread, seed)
    return _rise("relative_mse", after - before, spread.mean(), seed)


def matched_interval(lost: float, gained: float, samples: int) -> tuple[float, float]:
    """Agresti and Min's 95% interval of the drop of accuracy (Statistics in Medicine 24, 2005).

    Half a sample is added to each cell, so that no flips do not mean no uncertainty.

    Args:
        lost: Samples that the source alone gets right.
        gained: Samples that the artifact alone gets right.
        samples: All of them.
    """
    n, b, c = samples + 2, lost + 0.5, gained + 0.5
    centre = (b - c) / n
    margin = NORMAL_95 * np.sqrt((b + c) - (b - c) ** 2 / n) / n
    return max(-1.0, float(centre - margin)), min(1.0, float(centre + margin))  # a drop cannot be more


def _rise(metric: Literal["r2", "relative_mse"], squares: np.ndarray, spread: np.ndarray, seed: int) -> Drop | None:
    """The rise of the squared error, relative to the spread of the truth, which is held fixed.

    Averaged over the samples it is the drop of R² where each output has its own spread.
    """
    if not (spread > 0).all():
        return None
    rises = (squares / spread).mean(axis=1)  # per sample, so that resampling is cheap
    return Drop(metric, float(rises.mean()), *mean_interval(rises, seed), f"bootstrap of {RESAMPLES}")
