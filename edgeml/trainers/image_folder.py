"""Read training images from folders, one for each class."""

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
    """Read all images, and preprocess them as the package will.

    Returns:
        float32 ``[samples, height, width, channels]``, the names of the classes ``[samples]``, and the declaration of
        the preprocessing.

    Raises:
        InputError: The folder does not exist or does not contain a folder for each class, a file in it is not an
            image, or the images differ in size and the training file does not state a size.
    """
    files = _list_files(data.path)
    pixels = [read_image(path) for path in files]
    if (data.height is None) != (data.width is None):
        raise InputError("data: give both height and width, or neither.")
    height, width = data.height, data.width
    if height is None or width is None:
        height, width = pixels[0].shape[:2]
        for path, image_pixels in zip(files, pixels, strict=True):
            rows, columns = image_pixels.shape[:2]
            if (rows, columns) != (height, width):
                raise InputError(
                    f"{path.parent.name}/{path.name} is {rows} × {columns}, "
                    f"{files[0].parent.name}/{files[0].name} is {height} × {width}.",
                    fix="give data.height and data.width to resize them.",
                )
    image = Image(height=height, width=width, colour=data.colour, resize=data.resize, scale=1 / 255)
    spec = TensorSpec("image", (None, height, width, image.channels), "float32")
    return prepare(image, pixels, spec), np.array([path.parent.name for path in files]), image


def _list_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"folder not found: {folder}.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise InputError(
            f"{folder.name} contains {len(classes)} folders, expected one for each class, and at least two.",
            fix="put the images of each class into a folder named as the class.",
        )
    files = []
    for subfolder in classes:
        images = sorted(path for path in subfolder.iterdir() if not path.name.startswith("."))
        other = next((path for path in images if path.suffix.lower() not in _SUFFIXES), None)
        if other is not None:
            raise InputError(
                f"{folder.name}/{subfolder.name}/{other.name}: unsupported file type '{other.suffix}'; expected "
                f"{', '.join(_SUFFIXES)}.",
                fix="keep nothing but images in the folders of the classes.",
            )
        if not images:
            raise InputError(f"{folder.name}/{subfolder.name} is empty.", fix="put the images of the class into it.")
        files += images
    return files
