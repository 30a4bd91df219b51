"""Logs and scripts of failed recipes, kept in a folder beside the package."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from edgeml.core.errors import StorageError
from edgeml.core.recipe import RECIPES

__all__ = ["Failure", "is_folder_of_failures", "write_failures"]

_MARK = "edgeml.txt"
_MARK_TEXT = (
    "Logs and scripts of recipes that failed, written by edgeml. The next build to the same file replaces them.\n"
)
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

    The files of an earlier build are removed; other files in the folder stay. A folder that edgeml did not make is left
    as it is, and so is what a link leads to.

    Raises:
        StorageError: The folder cannot be written, or was not made by edgeml.
    """
    try:
        if is_folder_of_failures(folder):
            _clear(folder)
        elif failures and (folder.exists() or folder.is_symlink()):
            raise FileExistsError(0, "it exists, and was not made by edgeml")
        if not failures:
            return
        for failure in failures:
            (folder / failure.recipe).mkdir(parents=True)
            for name, data in failure.files.items():
                (folder / failure.recipe / name).write_bytes(data)
        for name, data in {**shared, _MARK: _MARK_TEXT.encode()}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    except OSError as error:
        raise StorageError(
            f"The package is saved, but {folder} cannot be written: {error.strerror or error}.",
            fix="free some space, or save to a folder that you may write to, under a name that is free.",
        ) from error


def is_folder_of_failures(folder: Path) -> bool:
    """Return whether edgeml made a folder, and may clear it."""
    mark = folder / _MARK
    return not folder.is_symlink() and not mark.is_symlink() and mark.is_file()


def _clear(folder: Path) -> None:
    """Remove what a build writes."""
    for path in [
        *(folder / recipe.id for recipe in RECIPES), *(path for pattern in _SHARED for path in folder.glob(pattern)),
    ]:  # fmt: skip
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if [path.name for path in folder.iterdir()] == [_MARK]:  # it stays beside files of others
        (folder / _MARK).unlink()
        folder.rmdir()
