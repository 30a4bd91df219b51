"""The samples to calibrate and to judge a package with, as files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeml.trainers.problem import Problem
from edgeml.trainers.split import Parts
from edgeml.trainers.training_schema import Csv, Data

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sample_files", "taken"]


def sample_files(data: Data, problem: Problem, parts: Parts) -> dict[str, bytes]:
    """``calibration`` and ``evaluation`` by file name: ``.csv`` of a table, else ``.npz`` with ``x``, and ``y``."""
    truth = taken(problem.target, parts.evaluation)
    if isinstance(data, Csv):
        calibration, evaluation = (
            taken(problem.data.inputs, places) for places in (parts.calibration, parts.evaluation)
        )
        if truth is not None:
            evaluation = evaluation.copy()
            evaluation[data.target] = truth
        return {"calibration.csv": _csv(calibration), "evaluation.csv": _csv(evaluation)}
    arrays = {"x": taken(problem.x, parts.evaluation), **({} if truth is None else {"y": truth})}
    return {"calibration.npz": _npz({"x": taken(problem.x, parts.calibration)}), "evaluation.npz": _npz(arrays)}


def taken(values: Any, positions: np.ndarray) -> Any:
    """Some of the samples of an array or a table; None of None."""
    if values is None:
        return None
    return values[positions] if isinstance(values, np.ndarray) else values.iloc[positions]


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
