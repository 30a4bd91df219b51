"""Write the calibration and evaluation samples of a package to files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeml.trainers.problem import Problem
from edgeml.trainers.split import Parts
from edgeml.trainers.training_schema import Csv, Data

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sample_files", "select_rows"]


def sample_files(data: Data, problem: Problem, parts: Parts) -> dict[str, bytes]:
    """Return the files ``calibration`` and ``evaluation`` by name.

    Tables become ``.csv``; other data ``.npz`` with ``x``, and of evaluation data ``y``.
    """
    truth = select_rows(problem.target, parts.evaluation)
    if isinstance(data, Csv):
        calibration, evaluation = (
            select_rows(problem.data.inputs, positions) for positions in (parts.calibration, parts.evaluation)
        )
        if truth is not None:
            evaluation = evaluation.copy()
            evaluation[data.target] = truth
        return {"calibration.csv": _csv(calibration), "evaluation.csv": _csv(evaluation)}
    arrays = {"x": select_rows(problem.x, parts.evaluation), **({} if truth is None else {"y": truth})}
    return {"calibration.npz": _npz({"x": select_rows(problem.x, parts.calibration)}), "evaluation.npz": _npz(arrays)}


def select_rows(values: Any, positions: np.ndarray) -> Any:
    """Select samples of an array or a table by position; return None for None."""
    if values is None:
        return None
    return values[positions] if isinstance(values, np.ndarray) else values.iloc[positions]


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
