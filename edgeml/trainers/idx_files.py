"""Read IDX files, the format of MNIST: http://yann.lecun.com/exdb/mnist/."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.system.files import max_unpacked_bytes, read_bytes

__all__ = ["read_idx", "read_idx_pair"]

_UINT8 = 8


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read the array of an IDX file, plain or ``.gz``.

    Args:
        path: The file.
        dimensions: Expected number of dimensions.

    Returns:
        uint8 array of so many dimensions.

    Raises:
        InputError: The file does not exist, is not IDX, contains another type than bytes, or is truncated.
        StorageError: The file cannot be read.
    """
    try:
        data = read_bytes(path)
        if path.suffix == ".gz":
            limit = max_unpacked_bytes(len(data))
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(limit + 1)
            if len(data) > limit:
                raise InputError(f"{path.name} unpacks to more than {limit} bytes.", fix="unpack it first.")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path.name} cannot be decompressed: {error}.", fix="download it again.") from error
    if len(data) < 4 or data[:2] != b"\0\0":
        raise InputError(f"{path.name} is not an IDX file: expected two zero bytes at the start.")
    kind, axes = data[2], data[3]
    if kind != _UINT8 or axes != dimensions:
        raise InputError(
            f"{path.name}: got type 0x{kind:02x} in {axes} dimensions, expected bytes (0x08) in {dimensions}."
        )
    start = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", data[4:start]) if len(data) >= start else (1,)
    if len(data) != start + math.prod(shape):
        follow = max(len(data) - start, 0)
        raise InputError(
            f"{path.name}: the header says {' × '.join(map(str, shape))} bytes, and {follow} follow.",
            fix="download it again.",
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_idx_pair(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read images and their labels.

    Returns:
        uint8 ``[samples, height, width]`` and int64 ``[samples]``.

    Raises:
        InputError: A file is not such an IDX file, or the numbers of images and labels differ.
    """
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(y):
        raise InputError(
            f"{images.name} has {len(x)} images, {labels.name} has {len(y)} labels.",
            fix="give two files that belong together.",
        )
    if not x.size:
        raise InputError(f"{images.name} is empty: it contains 0 images.")
    return x, y.astype(np.int64)
