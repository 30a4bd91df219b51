"""Arrays and tables from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeml.core.errors import EdgemlError, InputError, MissingDependencyError
from edgeml.core.formats.file_kind import recognize_file
from edgeml.core.preprocessing import GAPS
from edgeml.core.system.files import read_errors

__all__ = ["evaluation_of", "inputs_of", "read_arrays", "read_frame"]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a ``.npy`` file (as ``x``) or an ``.npz`` file. Pickled objects are refused.

    Raises:
        InputError: The file does not exist, is of another kind, is damaged, or holds objects.
        StorageError: The file cannot be read.
    """
    kind = recognize_file(path)
    if kind is not None and kind.group not in {"arrays", "archive"}:
        raise InputError(
            f"{path.name} is {kind.name}, expected arrays in a .npy or .npz file.",
            fix="write them by np.save or np.savez(path, x=x).",
        )
    try:
        with read_errors(path):
            loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            arrays = {name: array for name in loaded.files if isinstance(array := loaded[name], np.ndarray)}
    except EdgemlError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise some ten kinds for other or damaged files
        raise InputError(
            f"{path.name} holds no arrays of numbers: {error}.", fix="write it by np.save or np.savez."
        ) from error
    if not arrays:
        raise InputError(f"{path.name} holds no arrays.", fix="write them by np.savez(path, x=x).")
    return arrays


def inputs_of(arrays: Mapping[str, np.ndarray], names: Sequence[str] = ()) -> object:
    """Select the arrays of the model's inputs.

    Args:
        arrays: The arrays of a file.
        names: Names of the inputs, if they are known: arrays of these names are selected if all exist. Otherwise
            ``x`` is selected, or all arrays but ``y`` by name.
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
            fix="name the target by --target, and part the fields by commas.",
        )
    if frame[target].isna().any():
        line = int(frame[target].isna().to_numpy().argmax()) + 2
        raise InputError(f"{path.name}, line {line}, column '{target}': is empty, and it is the target.")
    return frame.drop(columns=target), frame[target].to_numpy()


def evaluation_of(arrays: Mapping[str, np.ndarray]) -> object:
    """Return ``(x, y)``, or the inputs alone if the file does not hold a ``y``."""
    return (inputs_of(arrays), arrays["y"]) if "y" in arrays else inputs_of(arrays)
