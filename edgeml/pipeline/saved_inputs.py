"""All inputs that the children of a build read, saved once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeml.core.source import SourceInfo
from edgeml.pipeline.evaluation_data import EvaluationData
from edgeml.pipeline.missing_values import complete_rows, gap_rows

__all__ = ["SavedInputs", "save_arrays", "save_inputs"]

Files = dict[str, Path]
"""``.npy`` file by input name."""


@dataclass(frozen=True, slots=True)
class SavedInputs:
    """Files of the samples that a source and its artifacts are asked about.

    Attributes:
        judged: The data that artifacts are judged on, in the source's dtypes.
        calibration: Calibration samples that lack no value; empty without.
        gaps: Samples that lack values; None where the source needs all.
        wide: The judged data in float64, where float32 does not hold what was given; else None.
        single: The judged data in float32, where the source takes float64; else None.
        single_gaps: The samples that lack values, likewise.
    """

    judged: Files
    calibration: Files
    gaps: Files | None
    wide: Files | None
    single: Files | None
    single_gaps: Files | None


def save_inputs(
    judged: EvaluationData, calibration: Mapping[str, np.ndarray] | None, info: SourceInfo, folder: Path
) -> SavedInputs:
    """Save the inputs of a build.

    Args:
        judged: The data that artifacts are judged on.
        calibration: Calibration samples by input name, or None.
        info: The source's description.
        folder: A folder for the files.
    """
    whole = complete_rows(calibration) if calibration else {}
    gaps = gap_rows(judged.inputs, info.signature)
    takes_float64 = any(array.dtype == np.float64 for array in judged.inputs.values())

    def save(name: str, arrays: Mapping[str, np.ndarray] | None) -> Files | None:
        return None if arrays is None else save_arrays(arrays, folder / name)

    return SavedInputs(
        judged=save_arrays(judged.inputs, folder / "judged"),
        calibration=save_arrays(whole, folder / "calibration") if any(map(len, whole.values())) else {},
        gaps=save("gaps", gaps),
        wide=save("wide", judged.wide),
        single=save("single", _in_float32(judged.inputs) if takes_float64 else None),
        single_gaps=save("single gaps", _in_float32(gaps) if takes_float64 and gaps else None),
    )


def save_arrays(arrays: Mapping[str, np.ndarray], folder: Path) -> Files:
    """Write one ``.npy`` file for each array, for a child to map."""
    folder.mkdir()
    files = {name: folder / f"{i}.npy" for i, name in enumerate(arrays)}
    for name, array in arrays.items():
        np.save(files[name], array)
    return files


def _in_float32(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    with np.errstate(over="ignore"):
        return {
            name: array.astype(np.float32) if array.dtype == np.float64 else array for name, array in arrays.items()
        }
