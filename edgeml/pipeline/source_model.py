"""From what the caller gave as a model to a file that a child can load."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.registry.tables import SOURCES
from edgeml.core.system.files import read_errors
from edgeml.core.system.imports import resolve
from edgeml.core.system.worker import WorkerCrash

__all__ = ["ModelFile", "killed", "model_file"]

_FRAMEWORK_OF_SUFFIX = {
    ".keras": "keras",
    ".h5": "tf_keras",
    ".hdf5": "tf_keras",
    ".skops": "sklearn",
    ".tflite": "tflite",
    ".onnx": "onnx",
}
_SAVED_MODEL = "saved_model.pb"
_IN_MEMORY = ("keras", "tf_keras", "sklearn")
_PICKLES = {".pkl", ".pickle", ".joblib", ".dill"}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A saved model.

    Attributes:
        framework: As `SourceInfo.framework`.
        path: Where it is: a file, or the folder of a SavedModel.
    """

    framework: str
    path: Path


def model_file(model: object, folder: Path, *, trust: bool = False) -> ModelFile:
    """The model's file: the caller's own, or one written into `folder` from an object in memory.

    Raises:
        InputError: There is no such file, or it is of no known kind.
        UnsupportedModelError: The object is of no known framework, or cannot be saved.
    """
    if isinstance(model, str | os.PathLike):
        return _given(Path(model), trust=trust)
    packages = {parent.__module__.partition(".")[0] for parent in type(model).__mro__}
    for framework in _IN_MEMORY:
        if framework in packages:
            module = resolve(SOURCES[framework])
            path = folder / f"source{module.SUFFIX}"
            module.save(model, path)
            return ModelFile(framework, path)
    raise UnsupportedModelError(
        f"A {type(model).__module__}.{type(model).__qualname__} is no model that edgeml knows.",
        fix="give a Keras model or a fitted scikit-learn estimator.",
    )


def _given(path: Path, *, trust: bool) -> ModelFile:
    with read_errors(path):
        path.stat()
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        if trust:
            return ModelFile("sklearn", path.resolve())
        raise UnsupportedModelError(
            f"{path.name} is a pickle: loading it runs whatever code it holds.",
            fix="save the estimator by skops.io.dump(model, 'model.skops'); or, if you trust whoever made it with "
            "your files and your machine, say --trust-source (trust_source=True).",
        )
    if (path / _SAVED_MODEL).is_file():
        return ModelFile("tf_keras", path.resolve())
    if suffix not in _FRAMEWORK_OF_SUFFIX or not path.is_file():
        raise InputError(
            f"{path.name} is no model file that edgeml knows.",
            fix=f"give a file that ends in {', '.join(_FRAMEWORK_OF_SUFFIX)}, or a SavedModel folder.",
        )
    return ModelFile(_FRAMEWORK_OF_SUFFIX[suffix], path.resolve())


def killed(file: ModelFile, what: str, error: WorkerCrash) -> UnsupportedModelError:
    """The error of a model that ends the process that works on it.

    Args:
        file: The model's.
        what: What cannot be done with it, as ``loaded``.
        error: How the process ended.
    """
    return UnsupportedModelError(
        f"{file.path.name} cannot be {what}: {error.message}",
        fix="the file is damaged, or not what it says: get a sound one, or build from the model that it was made from.",
        log=error.log,
    )
