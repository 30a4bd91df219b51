"""Resizing of images as `tf.image.resize` does it, without antialiasing."""

from __future__ import annotations

from typing import Literal

import numpy as np

__all__ = ["resized"]


def resized(image: np.ndarray, height: int, width: int, method: Literal["bilinear", "nearest", "area"]) -> np.ndarray:
    """An image of another size.

    Pixels have their centres at halves, as in TensorFlow 2: https://www.tensorflow.org/api_docs/python/tf/image/resize.

    Args:
        image: float32 ``[height, width, channels]``.
        height: Rows wanted.
        width: Columns wanted.
        method: How.

    Returns:
        float32 ``[height, width, channels]``.
    """
    if image.shape[:2] == (height, width):
        return image
    if method == "nearest":
        return image[_nearest(height, image.shape[0])][:, _nearest(width, image.shape[1])]
    if method == "area":
        rows, columns = _areas(height, image.shape[0]), _areas(width, image.shape[1])
        # One axis after the other, through matrices: few rows of an image meet in a pixel, so sums stay short.
        half = np.tensordot(rows, image, axes=(1, 0))
        return np.tensordot(half, columns, axes=(1, 1)).transpose(0, 2, 1)
    low, high, share = _neighbours(width, image.shape[1])
    across = share[None, :, None]
    top, bottom, down = _neighbours(height, image.shape[0])
    above = image[top][:, low] + (image[top][:, high] - image[top][:, low]) * across
    below = image[bottom][:, low] + (image[bottom][:, high] - image[bottom][:, low]) * across
    return above + (below - above) * down[:, None, None]


def _centres(wanted: int, given: int) -> np.ndarray:
    """Where new pixels' centres lie on the old axis, in old pixels; float32, as TensorFlow computes them."""
    return (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * (np.float32(given) / np.float32(wanted))


def _nearest(wanted: int, given: int) -> np.ndarray:
    return np.minimum(np.floor(_centres(wanted, given)).astype(np.int64), given - 1)


def _neighbours(wanted: int, given: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of the two old pixels around each new one, and the share of the second."""
    places = _centres(wanted, given) - np.float32(0.5)
    below = np.floor(places)
    low = np.maximum(below, 0).astype(np.int64)
    high = np.minimum(np.ceil(places), given - 1).astype(np.int64)
    return low, high, places - below


def _areas(wanted: int, given: int) -> np.ndarray:
    """float32 ``[wanted, given]``: the share of each old pixel in each new one."""
    edges = np.arange(wanted + 1) * (given / wanted)
    start, end = edges[:-1, None], edges[1:, None]
    old = np.arange(given)[None]
    overlap = np.clip(np.minimum(end, old + 1) - np.maximum(start, old), 0.0, None)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
