"""Images to learn from, in a folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Image
from edgeml.core.tensors import TensorSpec
from edgeml.preprocessing.image import prepare
from edgeml.preprocessing.image_files import read_image
from edgeml.trainers.training_schema import Images

__all__ = ["read_image_folder"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".pgm")


def read_image_folder(data: Images) -> tuple[np.ndarray, np.ndarray, Image]:
    """Every image, prepared as the package will prepare one.

    Returns:
        float32 ``[samples, height, width, channels]``, the classes' names ``[samples]``, and the declaration by
        which pixels become these numbers.

    Raises:
        InputError: There is no such folder, it has no classes, a file in it is no image, or the images have several
            sizes and none was given.
    """
    files = _files(data.path)
    pixels = [read_image(path) for path in files]
    if (data.height is None) != (data.width is None):
        raise InputError("data: give both height and width, or neither.")
    height, width = data.height, data.width
    if height is None or width is None:
        height, width = pixels[0].shape[:2]
        for path, found in zip(files, pixels, strict=True):
            if found.shape[:2] != (height, width):
                raise InputError(
                    f"{path.parent.name}/{path.name} is {found.shape[0]} × {found.shape[1]}, "
                    f"{files[0].parent.name}/{files[0].name} is {height} × {width}.",
                    fix="say to what height and width they are to be resized.",
                )
    image = Image(height=height, width=width, colour=data.colour, resize=data.resize, scale=1 / 255)
    spec = TensorSpec("image", (None, height, width, image.channels), "float32")
    return prepare(image, pixels, spec), np.array([path.parent.name for path in files]), image


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise InputError(
            f"{folder.name} has {len(classes)} folders in it, expected one for each class, and at least two.",
            fix="put the images of each class into a folder named as the class.",
        )
    files = []
    for one in classes:
        found = sorted(path for path in one.iterdir() if not path.name.startswith("."))
        odd = next((path for path in found if path.suffix.lower() not in _SUFFIXES), None)
        if odd is not None or not found:
            told = f"{one.name}/{odd.name} is no image by its name" if odd else f"{one.name} is empty"
            raise InputError(f"{folder.name}: {told}.", fix=f"keep nothing but files {', '.join(_SUFFIXES)} there.")
        files += found
    return files
