"""Arrays from and to files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeml.core.errors import EdgemlError, InputError
from edgeml.core.system.files import read_errors
from edgeml.preprocessing.csv_table import CsvColumn, CsvTable, read_csv

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
    (column,) = table.select([target], fix="name the column of true labels or values by --target.")
    return table.without(target), column


def evaluation_of(arrays: Mapping[str, np.ndarray]) -> object:
    """``(x, y)``, or the inputs alone where there is no ``y``."""
    return (inputs_of(arrays), arrays["y"]) if "y" in arrays else inputs_of(arrays)
