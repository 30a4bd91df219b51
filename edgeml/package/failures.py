"""What is kept of failed recipes, in a folder beside the package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeml.core.errors import StorageError
from edgeml.core.recipe import RECIPES

__all__ = ["Failure", "write_failures"]

_SHARED = ("source.*", "judged.npz", "calibration.npz")


@dataclass(frozen=True, slots=True)
class Failure:
    """What is kept of a recipe that failed.

    Attributes:
        recipe: The recipe.
        files: Content by file name: the captured log and a script that reproduces it.
    """

    recipe: str
    files: Mapping[str, bytes]


def write_failures(folder: Path, failures: tuple[Failure, ...], shared: Mapping[str, bytes]) -> None:
    """Writes ``FOLDER/RECIPE/…``, and into the folder itself what all scripts need.

    What an earlier build left there goes; other files in the folder stay.

    Raises:
        StorageError: The folder cannot be written.
    """
    try:
        if folder.is_dir():
            _clear(folder)
        for failure in failures:
            (folder / failure.recipe).mkdir(parents=True)
            for name, data in failure.files.items():
                (folder / failure.recipe / name).write_bytes(data)
        if failures:
            for name, data in shared.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
    except OSError as error:
        raise StorageError(f"The package is saved, but {folder} cannot be written: {error.strerror}.") from error


def _clear(folder: Path) -> None:
    for recipe in RECIPES:
        if (folder / recipe.id).is_dir():
            shutil.rmtree(folder / recipe.id)
    for pattern in _SHARED:
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
