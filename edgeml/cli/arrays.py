"""Arrays from and to files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeml.core.errors import EdgemlError, InputError, MissingDependencyError
from edgeml.core.preprocessing import GAPS
from edgeml.core.system.files import read_errors

__all__ = ["encode_csv", "evaluation_of", "inputs_of", "read_arrays", "read_frame"]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a ``.npy`` (as ``x``) or ``.npz`` file. Pickled objects are refused.

    Raises:
        InputError: It is no such file, or holds objects.
        StorageError: It cannot be read.
    """
    try:
        with read_errors(path):
            loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            arrays = {name: array for name in loaded.files if isinstance(array := loaded[name], np.ndarray)}
    except EdgemlError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise some ten kinds for files that are none or damaged
        raise InputError(
            f"{path.name} holds no arrays of numbers: {error}.", fix="write it by np.save or np.savez."
        ) from error
    if not arrays:
        raise InputError(f"{path.name} holds no arrays.")
    return arrays


def encode_csv(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A CSV file with a line for each sample: each array as a column, or as one for each of a sample's values."""
    columns: dict[str, list[object]] = {}
    for name, array in arrays.items():
        rows = array.reshape(len(array), -1)
        for place in range(rows.shape[1]):
            columns[name if array.ndim == 1 else f"{name}_{place}"] = rows[:, place].tolist()
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def inputs_of(arrays: Mapping[str, np.ndarray], names: Sequence[str] = ()) -> object:
    """The arrays of the model's inputs.

    Args:
        arrays: What a file holds.
        names: The names of the inputs, where they are known: those are taken if all are there. Else ``x``
            is taken, or all arrays but ``y`` by name.
    """
    if names and set(names) <= set(arrays):
        return {name: arrays[name] for name in names}
    return arrays["x"] if "x" in arrays and set(arrays) <= {"x", "y"} else {n: a for n, a in arrays.items() if n != "y"}


def read_frame(path: Path, target: str | None = None) -> object:
    """A CSV file as a data frame, or with a target ``(frame, column)``; in the first line are the columns' names.

    Raises:
        InputError: It is no such file, holds no rows, or has no such column.
        MissingDependencyError: pandas is not installed.
        StorageError: It cannot be read.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingDependencyError("Reading a table for a build", "sklearn") from error
    try:
        with read_errors(path):
            frame = pd.read_csv(path, encoding="utf-8-sig", keep_default_na=False, na_values=sorted(GAPS))
    except ValueError as error:  # pandas's own errors are of it
        raise InputError(
            f"{path.name} cannot be read as CSV: {str(error).strip()}.", fix="save it as CSV in UTF-8, with commas."
        ) from error
    if frame.empty:
        raise InputError(f"{path.name} has no rows.")
    if target is None:
        return frame
    if target not in frame.columns:
        raise InputError(
            f"{path.name}: there is no column '{target}'; it has {', '.join(map(str, frame.columns[:20]))}.",
            fix="name the target by --truth, and part the fields by commas.",
        )
    if frame[target].isna().any():
        line = int(frame[target].isna().to_numpy().argmax()) + 2
        raise InputError(f"{path.name}, line {line}, column '{target}': is empty, and it is the target.")
    return frame.drop(columns=target), frame[target].to_numpy()


def evaluation_of(arrays: Mapping[str, np.ndarray]) -> object:
    """``(x, y)``, or the inputs alone where there is no ``y``."""
    return (inputs_of(arrays), arrays["y"]) if "y" in arrays else inputs_of(arrays)
