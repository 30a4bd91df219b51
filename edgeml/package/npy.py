"""Arrays as ``.npy`` bytes: the same bytes for the same array, read without trusting the header."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping

import numpy as np

from edgeml.core.errors import PackageError

__all__ = ["decode_array", "encode_array", "encode_npz"]

# The only form that `encode_array` writes. numpy's own reader evaluates the header as Python.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<dtype><f[248]|[<|][iu][1248]|\|b1|<U[1-9]\d{0,5})', "
    rb"'fortran_order': False, 'shape': \((?P<shape>(?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n",
    re.DOTALL,
)
_MAX_DIMENSIONS = 32
_CODE_POINTS = 0x110000


def encode_array(array: np.ndarray) -> bytes:
    """Return the ``.npy`` file (format version 1.0) of an array of numbers, booleans or text."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def encode_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return an ``.npz`` file of arrays of any names; `np.savez` mistakes some names for its own options."""
    import zipfile  # seldom needed

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), encode_array(array))
    return buffer.getvalue()


def decode_array(data: bytes, label: str) -> np.ndarray:
    """Return the array of a ``.npy`` file.

    Args:
        data: The bytes of the file.
        label: Name of the file in messages.

    Raises:
        PackageError: The data are not a ``.npy`` file, are empty, or do not match the header.
    """
    header = _HEADER.match(data)
    if header is None or int.from_bytes(data[8:10], "little") != header.end() - 10:
        raise PackageError(f"{label} is not a .npy array of numbers or text in the form that packages use.")
    dtype = np.dtype(header["dtype"].decode())
    shape = tuple(int(size) for size in header["shape"].split(b",") if size.strip())
    body = memoryview(data)[header.end() :]
    if not 0 < math.prod(shape) * dtype.itemsize == len(body) or len(shape) > _MAX_DIMENSIONS:
        raise PackageError(f"{label}: got {len(body)} bytes after the header, expected {dtype} {list(shape)}.")
    if dtype.kind == "U" and (np.frombuffer(body, "<u4") >= _CODE_POINTS).any():
        raise PackageError(f"{label}: the text is not valid Unicode.")
    return np.frombuffer(body, dtype).reshape(shape)
