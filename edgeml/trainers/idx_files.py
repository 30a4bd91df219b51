"""IDX files, the format of MNIST: http://yann.lecun.com/exdb/mnist/."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.system.files import read_bytes

__all__ = ["read_idx", "read_idx_pair"]

_UINT8 = 8


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array of an IDX file, plain or ``.gz``.

    Args:
        path: The file.
        dimensions: How many it must have.

    Returns:
        uint8.

    Raises:
        InputError: It is no such file, holds other than bytes, or ends too early.
    """
    try:
        data = read_bytes(path)
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path.name} cannot be read: {error}.", fix="get it again.") from error
    if len(data) < 4 or data[:2] != b"\0\0":
        raise InputError(f"{path.name} is no IDX file: it does not begin with two zero bytes.")
    kind, found = data[2], data[3]
    if kind != _UINT8 or found != dimensions:
        raise InputError(
            f"{path.name}: holds type 0x{kind:02x} in {found} dimensions, expected bytes (0x08) in {dimensions}."
        )
    start = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", data[4:start]) if len(data) >= start else (1,)
    if len(data) != start + math.prod(shape):
        follow = max(len(data) - start, 0)
        raise InputError(
            f"{path.name}: its header promises {' × '.join(map(str, shape))} bytes, and {follow} follow.",
            fix="get it again, whole.",
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_idx_pair(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and their labels.

    Returns:
        uint8 ``[samples, height, width]`` and int64 ``[samples]``.

    Raises:
        InputError: One of them is no such file, or there are not as many of both.
    """
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(y):
        raise InputError(
            f"{images.name} has {len(x)} images, {labels.name} has {len(y)} labels.",
            fix="give two files that belong together.",
        )
    if not x.size:
        raise InputError(f"{images.name} has no images.")
    return x, y.astype(np.int64)
