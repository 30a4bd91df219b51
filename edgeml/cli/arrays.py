"""Arrays from and to files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError, StorageError

__all__ = ["evaluation_of", "inputs_of", "read_arrays"]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a ``.npy`` (as ``x``) or ``.npz`` file. Pickled objects are refused.

    Raises:
        InputError: It is no such file, or holds objects.
        StorageError: It cannot be read.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            arrays = {name: array for name in loaded.files if isinstance(array := loaded[name], np.ndarray)}
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file.") from error
    except PermissionError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # numpy, zipfile and zlib raise some ten kinds for files that are none or damaged
        raise InputError(
            f"{path.name} holds no arrays of numbers: {error}.", fix="write it by np.save or np.savez."
        ) from error
    if not arrays:
        raise InputError(f"{path.name} holds no arrays.")
    return arrays


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


def evaluation_of(arrays: Mapping[str, np.ndarray]) -> object:
    """``(x, y)``, or the inputs alone where there is no ``y``."""
    return (inputs_of(arrays), arrays["y"]) if "y" in arrays else inputs_of(arrays)
