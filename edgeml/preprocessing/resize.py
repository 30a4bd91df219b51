"""Resize images as `tf.image.resize` does without antialiasing."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np

__all__ = ["resize_image"]

_CACHED_SIZES = 64  # image sizes whose weights are cached: a camera has a single one


def resize_image(
    image: np.ndarray, height: int, width: int, method: Literal["bilinear", "nearest", "area"]
) -> np.ndarray:
    """Resize an image.

    Pixels have their centers at halves, as in TensorFlow 2: https://www.tensorflow.org/api_docs/python/tf/image/resize.

    Args:
        image: uint8 or float32 ``[height, width, channels]``.
        height: Rows of the result.
        width: Columns of the result.
        method: Interpolation.

    Returns:
        ``[height, width, channels]``: float32; of the image's own dtype with `nearest`, or if the image has that size
        already.
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    if method == "nearest":
        return image[_nearest(height, rows)][:, _nearest(width, columns)]
    if method == "area":
        return _average(image, height, width)
    return _interpolate(image, height, width)


def _average(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Average over areas, along each axis in turn."""
    rows, columns, channels = image.shape
    image = image.astype(np.float32, copy=False)
    half = _average_rows(image.reshape(rows, columns * channels), height)
    across = half.reshape(height, columns, channels).transpose(1, 0, 2).reshape(columns, height * channels)
    return _average_rows(across, width).reshape(width, height, channels).transpose(1, 0, 2)


def _average_rows(values: np.ndarray, new_size: int) -> np.ndarray:
    """Average the old rows that each new row covers: a product of a vector and a matrix per row."""
    result = np.empty((new_size, values.shape[1]), np.float32)
    for row, (first, weights) in zip(result, _areas(new_size, len(values)), strict=True):
        np.dot(weights, values[first : first + len(weights)], out=row)
    return result


def _interpolate(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Interpolate between the four pixels around each new one; other pixels are not read."""
    rows, columns, channels = image.shape
    left, right, across = _neighbors(width, columns)
    top, bottom, down = _neighbors(height, rows)
    pixels = image.reshape(rows * columns, channels)

    def interpolate_rows(positions: np.ndarray) -> np.ndarray:
        base = positions[:, None] * columns
        low, high = (pixels.take(base + side, axis=0, mode="clip").astype(np.float32) for side in (left, right))
        high -= low
        high *= across[:, None]
        high += low
        return high

    above, below = interpolate_rows(top), interpolate_rows(bottom)
    below -= above
    below *= down[:, None, None]
    below += above
    return below


def _centers(new_size: int, old_size: int) -> np.ndarray:
    """Return the centers of new pixels on the old axis, in old pixels; float32, as TensorFlow computes them."""
    return (np.arange(new_size, dtype=np.float32) + np.float32(0.5)) * (np.float32(old_size) / np.float32(new_size))


def _nearest(new_size: int, old_size: int) -> np.ndarray:
    return np.minimum(np.floor(_centers(new_size, old_size)).astype(np.int64), old_size - 1)


@lru_cache(_CACHED_SIZES)
def _neighbors(new_size: int, old_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the positions of the two old pixels around each new one, and the weight of the second."""
    positions = _centers(new_size, old_size) - np.float32(0.5)
    below = np.floor(positions)
    low = np.maximum(below, 0).astype(np.int64)
    high = np.minimum(np.ceil(positions), old_size - 1).astype(np.int64)
    return low, high, positions - below


@lru_cache(_CACHED_SIZES)
def _areas(new_size: int, old_size: int) -> tuple[tuple[int, np.ndarray], ...]:
    """Return for each new pixel the first old one that it covers, and the float32 weights from that one on."""
    edges = np.arange(new_size + 1) * (old_size / new_size)
    areas = []
    for start, end in pairwise(edges):
        first, last = int(start), min(int(np.ceil(end)), old_size)
        old = np.arange(first, last)
        overlap = np.minimum(end, old + 1) - np.maximum(start, old)
        areas.append((first, (overlap / overlap.sum()).astype(np.float32)))
    return tuple(areas)
