"""Train a model from a training file, and write the model, its metrics and plots."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgeml.core.errors import EdgemlError, InputError, StorageError
from edgeml.core.system.files import atomic_write, read_bytes
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.core.system.worker import Worker
from edgeml.trainers.fit_worker import SUMMARY, Trainer, TrainerSettings
from edgeml.trainers.result import Epoch, Trained
from edgeml.trainers.training_schema import Training

__all__ = ["train"]

_FILES = (
    "model.keras", "model.skops", "calibration.npz", "calibration.csv", "evaluation.npz", "evaluation.csv",
    "curves.png", "confusion.png",
)  # fmt: skip


class _FormerTraining(msgspec.Struct):
    files: tuple[str, ...] = ()


def train(training: Training, folder: Path, progress: Callable[[Epoch], None] | None = None) -> Trained:
    """Train a model in a child process, evaluate it on held-out samples, and write the results.

    The folder gets the model (``model.keras`` or ``model.skops``), ``training.json`` (a `Trained`), the calibration
    and evaluation samples for a package (``.npz``, for tables ``.csv``), ``curves.png`` of a net, and
    ``confusion.png`` of a classifier. Files are written after the training, each whole or not at all, and replace
    those of a former training. The same settings and data give the same bytes on the same machine, except for the
    model's own file, which may contain the time.

    Args:
        training: The training; `read_training` reads it from a file.
        folder: The folder to write to; created if missing.
        progress: Called after each epoch of a net.

    Returns:
        The record of the training.

    Raises:
        InputError: The data or the settings are invalid, or files in the folder that did not come from a training
            would be overwritten.
        StorageError: A file cannot be written.
        MissingDependencyError: An extra is not installed.

    Example:
        >>> trained = train(read_training(Path("digits.toml")), Path("digits"))
        >>> trained.metrics.accuracy
    """
    folder = folder.absolute()
    former = _former_files(folder, training)
    try:
        with TemporaryFolder() as scratch:
            (scratch / "files").mkdir()
            settings = TrainerSettings(training, scratch / "files")
            with Worker(f"{Trainer.__module__}:{Trainer.__name__}", settings, scratch) as trainer:
                if trainer.call("epochs", returns=int):
                    while (epoch := trainer.call("epoch", returns=Epoch | None)) is not None:  # type: ignore[arg-type]
                        if progress is not None:
                            progress(epoch)
                trained = trainer.call("finish", returns=Trained)
            files = {name: (scratch / "files" / name).read_bytes() for name in trained.files}
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            atomic_write(folder / name, data)
        for name in former - set(files):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{error.filename or folder} cannot be written: {error.strerror or error}.",
            fix="free some space, or choose a folder that you may write to.",
        ) from error
    return trained


def _former_files(folder: Path, training: Training) -> set[str]:
    """Return the files of a former training, after checking that the folder is writable and nothing else is lost.

    Raises:
        InputError: A file of the training's data, or one that did not come from a training, would be overwritten.
        StorageError: The folder cannot be written.
    """
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        reason = "the folder is not writable" if nearest.is_dir() else "it is not a folder"
        raise StorageError(f"{folder} cannot be written: {nearest}: {reason}.", fix="give another folder.")
    existing = {name for name in (*_FILES, SUMMARY) if (folder / name).exists()}
    for path in training.paths:
        for name in existing:
            if path.exists() and path.samefile(folder / name):
                raise InputError(
                    f"{folder / name} belongs to the training data, and would be overwritten.",
                    fix="give another folder.",
                )
    try:
        written = set(msgspec.json.decode(read_bytes(folder / SUMMARY), type=_FormerTraining).files)
    except (EdgemlError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        written = set()
    foreign = sorted(existing - written)
    if foreign:
        raise InputError(
            f"{folder / foreign[0]} does not come from a training, and would be overwritten.",
            fix="give another folder, or move the file away.",
        )
    return written & {*_FILES}
