"""Rise of a regressor's or an autoencoder's errors from the source to an artifact.

In all functions truth, source and artifact are values ``[samples, ...]`` in the targets' units.
"""

from __future__ import annotations

import numpy as np

from edgeml.core.records.evidence import ErrorRise
from edgeml.core.records.evidence_details import MOST_OUTPUTS, MOST_WORST, OutputErrors, SampleError
from edgeml.evaluation.bootstrap import RESAMPLES, mean_interval
from edgeml.evaluation.metrics import metrics_of

__all__ = ["error_rise", "output_errors", "worst_samples"]


def error_rise(truth: np.ndarray, source: np.ndarray, artifact: np.ndarray, *, seed: int = 0) -> ErrorRise | None:
    """Return the rise of the mean absolute error, paired by sample.

    Args:
        truth: True values.
        source: Outputs of the source.
        artifact: Outputs of the artifact.
        seed: Seed of the resampling.

    Returns:
        None for a single sample, for which an interval is not defined.
    """
    if len(truth) == 1:
        return None
    rises = _by_sample(truth, artifact) - _by_sample(truth, source)
    return ErrorRise(float(rises.mean()), *mean_interval(rises, seed), f"bootstrap of {RESAMPLES}")


def worst_samples(truth: np.ndarray, source: np.ndarray, artifact: np.ndarray) -> tuple[SampleError, ...]:
    """Return the samples whose absolute error rose most."""
    before, after = _by_sample(truth, source), _by_sample(truth, artifact)
    return tuple(
        SampleError(row, float(before[row]), float(after[row]))
        for row in np.argsort(before - after, kind="stable")[:MOST_WORST].tolist()
        if after[row] > before[row]
    )


def output_errors(truth: np.ndarray, source: np.ndarray, artifact: np.ndarray) -> tuple[OutputErrors, ...]:
    """Return the metrics of each output column, the largest rise of squared error first; empty for one column."""
    targets, before, after = (_flat(values) for values in (truth, source, artifact))
    if targets.shape[1] < 2:
        return ()
    rises = (np.square(after - targets) - np.square(before - targets)).mean(axis=0)
    return tuple(
        OutputErrors(
            column,
            metrics_of("regression", targets[:, column], before[:, column], None),
            metrics_of("regression", targets[:, column], after[:, column], None),
        )
        for column in np.argsort(-rises, kind="stable")[:MOST_OUTPUTS].tolist()
    )


def _by_sample(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(_flat(values) - _flat(truth)).mean(axis=1))


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).astype(np.float64)
