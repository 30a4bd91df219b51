"""train(): from a training file to a trained model, its metrics and its pictures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgeml.core.errors import InputError, StorageError
from edgeml.core.system.files import atomic_write
from edgeml.core.system.worker import Worker
from edgeml.trainers.fit_worker import SUMMARY, Trainer, TrainerSettings
from edgeml.trainers.result import Epoch, Trained
from edgeml.trainers.training_schema import Training

__all__ = ["train"]

_OWN = (
    "model.keras", "model.skops", "calibration.npz", "calibration.csv", "evaluation.npz", "evaluation.csv",
    "curves.png", "confusion.png",
)  # fmt: skip


class _Written(msgspec.Struct):
    files: tuple[str, ...] = ()


def train(training: Training, folder: Path, progress: Callable[[Epoch], None] | None = None) -> Trained:
    """Trains a model in a child process, judges it on held-out samples, and writes what came of it.

    The folder gets the model (``model.keras`` or ``model.skops``), ``training.json`` (a `Trained`), the samples to
    calibrate and to judge a package with (``.npz``, of a table ``.csv``), ``curves.png`` of a net, and
    ``confusion.png`` of a classifier. They are written when the training is over, each whole or not at all; a former
    training's files are replaced. The same settings and data give the same bytes on the same machine, but for the
    model's own file, which may hold the time.

    Args:
        training: What to train, on what, and how; `read_training` reads it from a file.
        folder: Where the files go; made if it is not there.
        progress: Called after each epoch of a net.

    Raises:
        InputError: The data or the settings are not what they should be, or files in the folder that no training
            wrote would be lost.
        StorageError: A file cannot be written.
        MissingDependencyError: An extra is not installed.

    Example:
        >>> trained = train(read_training(Path("digits.toml")), Path("digits"))
        >>> trained.metrics.accuracy
    """
    folder = folder.absolute()
    former = _former_files(folder, training)
    try:
        with tempfile.TemporaryDirectory(prefix="edgeml-") as temporary:
            scratch = Path(temporary)
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
    """What a former training wrote there, once it is sure that nothing else would be lost, and all can be written.

    Raises:
        InputError: A file of that name is one of the data, or was written by no training.
        StorageError: The folder cannot be written.
    """
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        why = "may not be written to" if nearest.is_dir() else "is no folder"
        raise StorageError(f"{folder} cannot be written: {nearest} {why}.", fix="give another folder.")
    there = {name for name in (*_OWN, SUMMARY) if (folder / name).exists()}
    for path in training.paths:
        for name in there:
            if path.exists() and path.samefile(folder / name):
                raise InputError(
                    f"{folder / name} is what is trained on, and would be overwritten.", fix="give another folder."
                )
    try:
        written = set(msgspec.json.decode((folder / SUMMARY).read_bytes(), type=_Written).files)
    except (OSError, msgspec.DecodeError):
        written = set()
    strange = sorted(there - written)
    if strange:
        raise InputError(
            f"{folder} has a file {strange[0]} that no training wrote, and it would be overwritten.",
            fix="give another folder, or move the file away.",
        )
    return written & {*_OWN}
