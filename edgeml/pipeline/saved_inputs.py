"""Inputs of a build, saved once for its child processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from edgeml.core.source import SourceInfo
from edgeml.pipeline.batch_dependence import BatchProbes, make_probes
from edgeml.pipeline.evaluation_data import EvaluationData
from edgeml.pipeline.missing_values import make_missing_value_samples, select_complete_samples

__all__ = ["SavedInputs", "save_arrays", "save_inputs"]

_MOVED_SAMPLES, _MOVING_SEED = 1024, 0
_NO_COLUMNS: Mapping[str, tuple[int, ...]] = MappingProxyType({})

Files = dict[str, Path]
"""``.npy`` files by input name."""


@dataclass(frozen=True, slots=True)
class SavedInputs:
    """Files of all samples that the source and its artifacts run on.

    Attributes:
        judged: Data that artifacts are judged on, in the source's dtypes.
        calibration: Calibration samples without missing values; empty without calibration.
        missing_values: Samples with missing values; None if the source does not support them.
        float64: The judged data in float64, if float32 cannot represent them; else None.
        float32: The judged data in float32, if the source's inputs are float64; else None.
        float32_missing_values: The samples with missing values in float32, likewise.
        some: The first of the judged samples.
        moved: The same samples with each number moved by its last bit; None where all inputs are whole numbers or
            text, or the source computes with none of them.
        batches: Samples that run alone and in several batches, and their neighbors.
        batch_probes: The positions of these.
    """

    judged: Files
    calibration: Files
    missing_values: Files | None
    float64: Files | None
    float32: Files | None
    float32_missing_values: Files | None
    some: Files
    moved: Files | None
    batches: Files
    batch_probes: BatchProbes


def save_inputs(
    judged: EvaluationData,
    calibration: Mapping[str, np.ndarray] | None,
    info: SourceInfo,
    folder: Path,
    compared: Mapping[str, tuple[int, ...]] = _NO_COLUMNS,
) -> SavedInputs:
    """Save the inputs of a build.

    Args:
        judged: Data that artifacts are judged on.
        calibration: Calibration samples by input name, or None.
        info: Description of the source.
        folder: Folder for the files.
        compared: Columns by input name that the source compares with thresholds of its own, which are not moved: its
            answers on either side of them are not noise.
    """
    some = {name: array[:_MOVED_SAMPLES] for name, array in judged.inputs.items()}
    complete = select_complete_samples(calibration) if calibration else {}
    missing_values = make_missing_value_samples(judged.inputs, info.signature)
    probes, batches = make_probes(judged.inputs, info)
    has_float64 = any(array.dtype == np.float64 for array in judged.inputs.values())

    def save(name: str, arrays: Mapping[str, np.ndarray] | None) -> Files | None:
        return None if arrays is None else save_arrays(arrays, folder / name)

    return SavedInputs(
        judged=save_arrays(judged.inputs, folder / "judged"),
        calibration=save_arrays(complete, folder / "calibration") if any(map(len, complete.values())) else {},
        missing_values=save("missing values", missing_values),
        float64=save("float64", judged.wide),
        float32=save("float32", _to_float32(judged.inputs) if has_float64 else None),
        float32_missing_values=save(
            "float32 missing values", _to_float32(missing_values) if has_float64 and missing_values else None
        ),
        some=save_arrays(some, folder / "some"),
        moved=save("moved", _move_by_last_bit(some, info, compared)),
        batches=save_arrays(batches, folder / "batches"),
        batch_probes=probes,
    )


def save_arrays(arrays: Mapping[str, np.ndarray], folder: Path) -> Files:
    """Write one ``.npy`` file per array, which child processes map into memory."""
    folder.mkdir()
    files = {name: folder / f"{i}.npy" for i, name in enumerate(arrays)}
    for name, array in arrays.items():
        np.save(files[name], array)
    return files


def _move_by_last_bit(
    arrays: Mapping[str, np.ndarray], info: SourceInfo, compared: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray] | None:
    """Move each number to a neighbor, up or down by chance; missing values and zeros stay.

    Inputs stay that hold nothing but whole numbers, such as ids, bytes and counts: none of them is off by a last bit,
    and a model that casts them to integers would truncate 5 to 4.
    """
    specs = info.signature.inputs
    floats = {spec.name for spec in specs if spec.dtype.startswith("float")} - set(info.whole_inputs)
    floats = {name for name in floats if not _is_whole(arrays[name])}
    floats -= {name for name, columns in compared.items() if name in arrays and len(columns) == arrays[name].shape[-1]}
    if not floats:
        return None
    rng = np.random.default_rng(_MOVING_SEED)

    def move(name: str, array: np.ndarray) -> np.ndarray:
        ends = rng.choice(np.array([-np.inf, np.inf], array.dtype), array.shape)
        moved = np.where(array == 0, array, np.nextafter(array, ends))
        columns = list(compared.get(name, ()))
        moved[..., columns] = array[..., columns]
        return moved

    return {name: move(name, array) if name in floats else array for name, array in arrays.items()}


def _is_whole(array: np.ndarray) -> bool:
    """Return whether all numbers are whole; missing values do not count."""
    return bool(np.all((array == np.trunc(array)) | np.isnan(array)))


def _to_float32(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    with np.errstate(over="ignore"):
        return {
            name: array.astype(np.float32) if array.dtype == np.float64 else array for name, array in arrays.items()
        }
