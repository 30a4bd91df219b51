"""Resizing of images as `tf.image.resize` does it, without antialiasing."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np

__all__ = ["resized"]

_SIZES = 64  # of images whose weights are kept: a camera has one


def resized(image: np.ndarray, height: int, width: int, method: Literal["bilinear", "nearest", "area"]) -> np.ndarray:
    """An image of another size.

    Pixels have their centres at halves, as in TensorFlow 2: https://www.tensorflow.org/api_docs/python/tf/image/resize.

    Args:
        image: uint8 or float32 ``[height, width, channels]``.
        height: Rows wanted.
        width: Columns wanted.
        method: How.

    Returns:
        ``[height, width, channels]``: float32, or with `nearest` and for an image of that size already the image's
        own dtype.
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    if method == "nearest":
        return image[_nearest(height, rows)][:, _nearest(width, columns)]
    if method == "area":
        return _averaged(image, height, width)
    return _interpolated(image, height, width)


def _averaged(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Means over areas, one axis after the other."""
    rows, columns, channels = image.shape
    image = image.astype(np.float32, copy=False)
    half = _averaged_rows(image.reshape(rows, columns * channels), height)
    across = half.reshape(height, columns, channels).transpose(1, 0, 2).reshape(columns, height * channels)
    return _averaged_rows(across, width).reshape(width, height, channels).transpose(1, 0, 2)


def _averaged_rows(values: np.ndarray, wanted: int) -> np.ndarray:
    """Each new row is a mean of the few old ones that it covers: one product of a vector and a matrix."""
    result = np.empty((wanted, values.shape[1]), np.float32)
    for place, (first, weights) in zip(result, _areas(wanted, len(values)), strict=True):
        np.dot(weights, values[first : first + len(weights)], out=place)
    return result


def _interpolated(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Values between the four pixels around each new one, of which alone anything is computed."""
    rows, columns, channels = image.shape
    left, right, across = _neighbours(width, columns)
    top, bottom, down = _neighbours(height, rows)
    pixels = image.reshape(rows * columns, channels)

    def row_of(places: np.ndarray) -> np.ndarray:
        base = places[:, None] * columns
        low, high = (pixels.take(base + side, axis=0, mode="clip").astype(np.float32) for side in (left, right))
        high -= low
        high *= across[:, None]
        high += low
        return high

    above, below = row_of(top), row_of(bottom)
    below -= above
    below *= down[:, None, None]
    below += above
    return below


def _centres(wanted: int, given: int) -> np.ndarray:
    """Where new pixels' centres lie on the old axis, in old pixels; float32, as TensorFlow computes them."""
    return (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * (np.float32(given) / np.float32(wanted))


def _nearest(wanted: int, given: int) -> np.ndarray:
    return np.minimum(np.floor(_centres(wanted, given)).astype(np.int64), given - 1)


@lru_cache(_SIZES)
def _neighbours(wanted: int, given: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of the two old pixels around each new one, and the share of the second."""
    places = _centres(wanted, given) - np.float32(0.5)
    below = np.floor(places)
    low = np.maximum(below, 0).astype(np.int64)
    high = np.minimum(np.ceil(places), given - 1).astype(np.int64)
    return low, high, places - below


@lru_cache(_SIZES)
def _areas(wanted: int, given: int) -> tuple[tuple[int, np.ndarray], ...]:
    """For each new pixel the first old one that it covers, and the shares, float32, of that and those that follow."""
    edges = np.arange(wanted + 1) * (given / wanted)
    found = []
    for start, end in pairwise(edges):
        first, last = int(start), min(int(np.ceil(end)), given)
        old = np.arange(first, last)
        overlap = np.minimum(end, old + 1) - np.maximum(start, old)
        found.append((first, (overlap / overlap.sum()).astype(np.float32)))
    return tuple(found)
