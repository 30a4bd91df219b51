"""Logs and scripts of failed recipes, kept in a folder beside the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from edgeml.core.errors import StorageError

__all__ = ["Failure", "write_failures"]

_SHARED = ("source.*", "judged.npz", "calibration.npz")


class Failure(Struct, frozen=True):
    """The log and the script of a recipe that failed.

    Attributes:
        recipe: Name of the recipe.
        files: Content by file name: the captured log, and a script that reproduces the failure.
    """

    recipe: str
    files: Mapping[str, bytes]


def write_failures(folder: Path, failures: tuple[Failure, ...], shared: Mapping[str, bytes]) -> None:
    """Write ``FOLDER/RECIPE/…`` for each failure, and the files that all scripts need into the folder itself.

    The files of an earlier build are removed; other files in the folder stay.

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
        raise StorageError(
            f"The package is saved, but {folder} cannot be written: {error.strerror or error}.",
            fix="free some space, or save to a folder that you may write to.",
        ) from error


def _clear(folder: Path) -> None:
    import shutil

    from edgeml.core.recipe import RECIPES

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
