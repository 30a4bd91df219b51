"""From what the caller gave as a model to a file that a child can load."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgeml.core import registry
from edgeml.core.errors import InputError, UnsupportedModelError

__all__ = ["ModelFile", "model_file"]

_FRAMEWORK_OF_SUFFIX = {".keras": "keras", ".skops": "sklearn"}
_PICKLES = {".pkl", ".pickle", ".joblib", ".dill"}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A saved model.

    Attributes:
        framework: ``keras`` or ``sklearn``.
        path: Where it is.
    """

    framework: str
    path: Path


def model_file(model: object, folder: Path) -> ModelFile:
    """The model's file: the caller's own, or one written into `folder` from an object in memory.

    Raises:
        InputError: There is no such file, or it is of no known kind.
        UnsupportedModelError: The object is of no known framework, or cannot be saved.
    """
    if isinstance(model, str | os.PathLike):
        return _given(Path(model))
    packages = {parent.__module__.partition(".")[0] for parent in type(model).__mro__}
    for framework in registry.SOURCES:
        if framework in packages:
            module = registry.resolve(registry.SOURCES[framework])
            path = folder / f"source{module.SUFFIX}"
            module.save(model, path)
            return ModelFile(framework, path)
    raise UnsupportedModelError(
        f"A {type(model).__module__}.{type(model).__qualname__} is no model that edgeml knows.",
        fix="give a Keras 3 model or a fitted scikit-learn estimator.",
    )


def _given(path: Path) -> ModelFile:
    if not path.exists():
        raise InputError(f"{path}: there is no such file.")
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        raise UnsupportedModelError(
            f"{path.name} is a pickle: loading it runs whatever code it holds.",
            fix="save the estimator by skops.io.dump(model, 'model.skops').",
        )
    if suffix not in _FRAMEWORK_OF_SUFFIX or not path.is_file():
        raise InputError(
            f"{path.name} is no model file that edgeml knows.",
            fix=f"give a file that ends in {' or '.join(_FRAMEWORK_OF_SUFFIX)}.",
        )
    return ModelFile(_FRAMEWORK_OF_SUFFIX[suffix], path.resolve())
