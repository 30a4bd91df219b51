"""Arrays from and to files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError, StorageError

__all__ = ["evaluation_of", "inputs_of", "npz_bytes", "read_arrays"]


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
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError, MemoryError) as error:
        raise InputError(
            f"{path.name} holds no arrays of numbers: {error}.", fix="write it by np.save or np.savez."
        ) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not arrays:
        raise InputError(f"{path.name} holds no arrays.")
    return arrays


def inputs_of(arrays: Mapping[str, np.ndarray]) -> object:
    """The array ``x``, or all arrays but ``y`` by input name."""
    return arrays["x"] if "x" in arrays and set(arrays) <= {"x", "y"} else {n: a for n, a in arrays.items() if n != "y"}


def evaluation_of(arrays: Mapping[str, np.ndarray]) -> object:
    """``(x, y)``, or the inputs alone where there is no ``y``."""
    return (inputs_of(arrays), arrays["y"]) if "y" in arrays else inputs_of(arrays)


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An ``.npz`` file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # the stub takes a name for the option allow_pickle
    return buffer.getvalue()
