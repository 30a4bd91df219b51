"""Convert images to the values of an input."""

from __future__ import annotations

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Image
from edgeml.core.tensors import TensorSpec
from edgeml.preprocessing.resize import resize_image

__all__ = ["prepare"]

# ITU-R 601-2 luma in 16 bits, as in Pillow's mode L, by which Keras loads gray images.
_LUMA = np.array([19595, 38470, 7471], np.float32)
_HALF, _ONE = np.float32(2**15), np.float32(2**16)
_BLOCK = 3000  # pixels that fit a cache, and below the size at which OpenBLAS starts threads


def prepare(declaration: Image, raw: object, spec: TensorSpec) -> np.ndarray:
    """Convert images of any size to the values of an input.

    Args:
        declaration: Size, color order, layout and scale of the values.
        raw: One image, uint8 ``[height, width, channels]`` in RGB or gray, or ``[height, width]`` in gray; or
            several, in a list or as ``[samples, height, width, channels]``.
        spec: The input.

    Returns:
        float32 ``[samples, ...]``.

    Raises:
        InputError: The images are of another type or shape.
    """
    where = f"raw input '{spec.name}'"
    channels, size = declaration.channels, (declaration.height, declaration.width)
    values = np.empty((len(images := _images(raw, where)), *size, channels), np.float32)
    for i, image in enumerate(images):
        pixels = _check_image(image, f"{where}, image {i}")
        if declaration.colour == "gray" and pixels.shape[-1] == 3:
            pixels = _gray(pixels)
        pixels = resize_image(pixels, *size, declaration.resize)
        values[i] = pixels[..., ::-1] if declaration.colour == "BGR" else pixels  # gray pixels fill all channels
    if declaration.scale != 1:
        values *= np.float32(declaration.scale)
    if any(declaration.mean):
        values -= np.array(declaration.mean, np.float32)
    if set(declaration.std) != {1}:
        values /= np.array(declaration.std, np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2)) if declaration.layout == "NCHW" else values


def _images(raw: object, where: str) -> list[object]:
    if isinstance(raw, np.ndarray):
        if raw.ndim == 4:
            return list(raw)
        if raw.ndim == 2 or (raw.ndim == 3 and raw.shape[-1] in {1, 3, 4}):
            return [raw]
        raise InputError(
            f"{where}: got shape {list(raw.shape)}, expected images [height, width, channels], or several of them in "
            "a list or with an axis of samples in front.",
            fix="give gray images the axis of channels: x[..., None].",
        )
    if isinstance(raw, list | tuple):
        return list(raw)
    raise InputError(f"{where}: got {type(raw).__name__}, expected an image as a uint8 array, or a list of them.")


def _check_image(image: object, where: str) -> np.ndarray:
    """Return an image as uint8 ``[height, width, 1 or 3]``."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        actual = f"dtype {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(
            f"{where}: got {actual}, expected a uint8 array: pixels from 0 to 255.",
            fix="give the image as it was loaded; without raw if it is scaled already.",
        )
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in {1, 3} or not image.size:
        raise InputError(
            f"{where}: got shape {list(image.shape)}, expected [height, width, channels] with 1 or 3 channels.",
            fix="remove the alpha channel." if image.ndim == 3 and image.shape[-1] == 4 else "",
        )
    return image


def _gray(image: np.ndarray) -> np.ndarray:
    """Return luma as float32 ``[height, width, 1]``, whole numbers. All sums are below 2**24, exact in float32."""
    height, width, channels = image.shape
    pixels, gray = image.reshape(-1, channels), np.empty(height * width, np.float32)
    for begin in range(0, len(pixels), _BLOCK):
        sums = gray[begin : begin + _BLOCK]
        np.dot(pixels[begin : begin + _BLOCK].astype(np.float32), _LUMA, out=sums)
        sums += _HALF
        sums /= _ONE
        np.floor(sums, out=sums)
    return gray.reshape(height, width, 1)
