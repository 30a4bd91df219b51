"""Read images from files."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError, MissingDependencyError
from edgeml.core.system.files import read_bytes

__all__ = ["IMAGE_SUFFIXES", "read_image"]

_PILLOW = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
IMAGE_SUFFIXES = (*_PILLOW, ".ppm", ".pgm")

_OPAQUE = 255
_MODES = frozenset({"1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"})  # Pillow's modes of up to 8 bits
# Netpbm's header: sizes separated by whitespace and comments, then a single whitespace before the pixels.
_PNM = re.compile(rb"P(?P<kind>[56])(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")


def read_image(path: Path) -> np.ndarray:
    """Read the pixels of a file as stored: an orientation in its metadata is not applied.

    PNG and JPEG need Pillow; binary PPM and PGM of 8 bits do not.

    Returns:
        uint8 ``[height, width, channels]``: one channel for gray, three for RGB.

    Raises:
        InputError: The file does not exist, is not such an image, or has transparent pixels.
        StorageError: The file cannot be read.
        MissingDependencyError: Pillow is not installed.
    """
    data = read_bytes(path)
    return _decode_by_pillow(data, path) if path.suffix.lower() in _PILLOW else _decode_pnm(data, path)


def _decode_pnm(data: bytes, path: Path) -> np.ndarray:
    header = _PNM.match(data)
    if header is None:
        raise InputError(f"{path.name}: expected a binary PPM or PGM image (P6 or P5).", fix="save it in binary form.")
    width, height, largest = (int(header[i]) for i in (2, 3, 4))
    channels = 3 if header["kind"] == b"6" else 1
    if largest != _OPAQUE:
        raise InputError(
            f"{path.name}: the maximum value is {largest}, expected {_OPAQUE}.", fix="save it with 8 bits."
        )
    body = memoryview(data)[header.end() :]
    if len(body) < height * width * channels or not height * width:
        raise InputError(f"{path.name}: the header says {width} × {height} pixels, and {len(body)} bytes follow.")
    return np.frombuffer(body[: height * width * channels], np.uint8).reshape(height, width, channels)


def _decode_by_pillow(data: bytes, path: Path) -> np.ndarray:
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"Reading {path.name}", "images") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=[_PILLOW[path.suffix.lower()]]) as opened:
                if opened.mode not in _MODES:
                    raise InputError(f"{path.name} has pixels of mode {opened.mode}, expected 8 bits.")
                _refuse_transparency(opened, path)
                gray = opened.mode in {"1", "L", "LA"}
                pixels = np.asarray(opened.convert("L" if gray else "RGB"))
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError as error:  # its message names an object in memory
        raise InputError(f"{path.name} cannot be read as an image: it is another format, or damaged.") from error
    except Exception as error:  # Pillow raises about ten types for damaged files, AssertionError among them
        raise InputError(f"{path.name} cannot be read as an image: {str(error) or type(error).__name__}.") from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _refuse_transparency(opened: object, path: Path) -> None:
    """Refuse images with transparent pixels: the background that shows through is unknown."""
    image: object = opened
    alpha = getattr(image, "has_transparency_data", False)
    if alpha and np.asarray(image.convert("RGBA"))[..., 3].min() < _OPAQUE:  # type: ignore[attr-defined]
        raise InputError(f"{path.name} has transparent pixels.", fix="put it on a background and save it again.")
