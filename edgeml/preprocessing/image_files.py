"""Images from files."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError, MissingDependencyError
from edgeml.core.system.files import read_bytes

__all__ = ["IMAGE_SUFFIXES", "read_image"]

_PILLOW = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
IMAGE_SUFFIXES = (*_PILLOW, ".ppm", ".pgm")

_OPAQUE = 255
_MODES = frozenset({"1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"})  # those of 8 bits or fewer
# Sizes, parted by white space and comments, and one white space before the pixels: netpbm's own words.
_PNM = re.compile(rb"P(?P<kind>[56])(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")


def read_image(path: Path) -> np.ndarray:
    """The pixels of a file as they lie in it: an orientation that it names beside them is not applied.

    PNG and JPEG need Pillow; PPM and PGM (binary, of 8 bits) do not.

    Returns:
        uint8 ``[height, width, channels]``: one channel for gray, three for RGB.

    Raises:
        InputError: It is no such image, or has transparent pixels.
        StorageError: It cannot be read.
        MissingDependencyError: Pillow is not installed.
    """
    data = read_bytes(path)
    return _pillow(data, path) if path.suffix.lower() in _PILLOW else _pnm(data, path)


def _pnm(data: bytes, path: Path) -> np.ndarray:
    header = _PNM.match(data)
    if header is None:
        raise InputError(f"{path.name} is no binary PPM or PGM image.", fix="save it as P6 or P5.")
    width, height, largest = (int(header[i]) for i in (2, 3, 4))
    channels = 3 if header["kind"] == b"6" else 1
    if largest != _OPAQUE:
        raise InputError(
            f"{path.name}: its largest value is {largest}, expected {_OPAQUE}.", fix="save it with 8 bits."
        )
    body = memoryview(data)[header.end() :]
    if len(body) < height * width * channels or not height * width:
        raise InputError(f"{path.name}: is {width} × {height} pixels by its header, and {len(body)} bytes follow.")
    return np.frombuffer(body[: height * width * channels], np.uint8).reshape(height, width, channels)


def _pillow(data: bytes, path: Path) -> np.ndarray:
    try:
        from PIL import Image
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
    except (
        Image.DecompressionBombWarning, Image.DecompressionBombError,
        OSError, SyntaxError, ValueError, struct.error, zlib.error,
    ) as error:  # fmt: skip
        raise InputError(f"{path.name} cannot be read as an image: {error}.") from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _refuse_transparency(opened: object, path: Path) -> None:
    """What shows through is not in the file."""
    image: object = opened
    alpha = getattr(image, "has_transparency_data", False)
    if alpha and np.asarray(image.convert("RGBA"))[..., 3].min() < _OPAQUE:  # type: ignore[attr-defined]
        raise InputError(f"{path.name} has transparent pixels.", fix="put it on a background and save it again.")
