"""Arrays from ``.npy`` and ``.npz`` files, without pickled objects."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.errors import EdgemlError, InputError
from edgeml.core.formats.file_kind import recognize_file
from edgeml.core.system.files import max_unpacked_bytes, open_file

__all__ = ["read_array_file", "select_inputs"]


def read_array_file(path: Path, argument: str = "") -> dict[str, np.ndarray]:
    """Read the arrays of a ``.npy`` file (as ``x``) or an ``.npz`` file.

    Args:
        path: The file.
        argument: The caller's name for the data, for messages.

    Raises:
        InputError: The file does not exist, is of another kind, is damaged, or contains Python objects.
        StorageError: The file cannot be read.
    """
    name = f"{argument}: {path.name}" if argument else path.name
    kind = recognize_file(path)
    if kind is not None and kind.group not in {"arrays", "archive"}:
        raise InputError(
            f"{name} is {kind.name}, expected arrays in a .npy or .npz file.",
            fix="write them by np.save or np.savez(path, x=x).",
        )
    try:
        with open_file(path) as file:  # NumPy does not close a file that is not an archive
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"x": loaded}
            with loaded:
                _check_unpacked_size(loaded, os.fstat(file.fileno()).st_size, name)
                arrays = {key: array for key in loaded.files if isinstance(array := loaded[key], np.ndarray)}
    except EdgemlError:
        raise
    except Exception as error:  # NumPy, zipfile and zlib raise about ten types for other and damaged files
        raise InputError(
            f"{name} does not contain arrays of numbers or text: {error}.",
            fix="write them by np.savez; arrays of Python objects are not loaded, since they could run code.",
        ) from error
    if not arrays:
        raise InputError(f"{name} does not contain arrays.", fix="write them by np.savez(path, x=x).")
    return arrays


def _check_unpacked_size(archive: Any, size_bytes: int, name: str) -> None:
    """Refuse an ``.npz`` file that unpacks to gigabytes."""
    unpacked, limit = sum(entry.file_size for entry in archive.zip.infolist()), max_unpacked_bytes(size_bytes)
    if unpacked > limit:
        raise InputError(
            f"{name} has {size_bytes} bytes and unpacks to {unpacked}, expected at most {limit}.",
            fix="write it without compression, by np.savez; or split it.",
        )


def select_inputs(arrays: Mapping[str, np.ndarray], names: Sequence[str] = ()) -> np.ndarray | dict[str, np.ndarray]:
    """Select the arrays of the model's inputs.

    Args:
        arrays: The arrays of a file.
        names: Names of the inputs, if they are known: arrays of these names are selected if all exist. Otherwise
            ``x`` is selected, or all arrays but ``y`` and ``y.NAME``, the truth of several outputs, by name.
    """
    if names and set(names) <= set(arrays):
        return {name: arrays[name] for name in names}
    inputs = {name: array for name, array in arrays.items() if name != "y" and not name.startswith("y.")}
    return arrays["x"] if set(inputs) == {"x"} else inputs
