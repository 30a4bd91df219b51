"""Arrays and tables from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeml.core.errors import EdgemlError, InputError
from edgeml.core.formats.file_kind import recognize_file
from edgeml.core.system.files import read_errors
from edgeml.preprocessing.csv_table import CsvColumn, CsvTable, read_csv

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


def read_frame(path: Path, target: str | None = None) -> CsvTable | tuple[CsvTable, CsvColumn]:
    """Read a CSV file for `edgeml.build`, which converts its columns by the types that the model declares.

    Args:
        path: The file, with the columns' names in its first line.
        target: The column of true labels or values.

    Returns:
        The table; with a target ``(table without it, column)``.

    Raises:
        InputError: The file is not CSV or has no rows, or the target is missing.
        StorageError: The file cannot be read.
    """
    table = read_csv(path)
    if target is None:
        return table
    (column,) = table.select([target], fix="name the column of true labels or values by --truth.")
    return table.without(target), column


def evaluation_of(arrays: Mapping[str, np.ndarray]) -> object:
    """Return ``(x, y)``, or the inputs alone if the file does not hold a ``y``."""
    return (inputs_of(arrays), arrays["y"]) if "y" in arrays else inputs_of(arrays)
