"""edgeml: from a trained model to a package that is proven on edge targets.

Example:
    >>> import edgeml
    >>> package = edgeml.build("digits.keras", calibration="calibration.npz", evaluation="digits.npz")
    >>> package.save("digits.edgeml")
    >>> session = edgeml.load("digits.edgeml")
    >>> labels = session.classify(images)

The import loads neither a framework nor an engine; each name is loaded at its first use. The library does not print
and does not configure logging: ``logging.getLogger("edgeml")`` records the steps of a build and the choices of `load`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeml._version import __version__

if TYPE_CHECKING:
    from edgeml._api import bench, diff, report, train
    from edgeml.core.errors import (
        ConversionError,
        EdgemlError,
        InputError,
        IsolationError,
        MissingDependencyError,
        PackageError,
        ResourceError,
        StorageError,
        TargetError,
        UnsupportedModelError,
        VerificationError,
    )
    from edgeml.core.goal import Goal
    from edgeml.core.recipe import RECIPES
    from edgeml.core.registry.targets import targets
    from edgeml.core.session import Session
    from edgeml.package import Package, load, open_package
    from edgeml.pipeline import build

__all__ = [
    "RECIPES",
    "ConversionError",
    "EdgemlError",
    "Goal",
    "InputError",
    "IsolationError",
    "MissingDependencyError",
    "Package",
    "PackageError",
    "ResourceError",
    "Session",
    "StorageError",
    "TargetError",
    "UnsupportedModelError",
    "VerificationError",
    "__version__",
    "bench",
    "build",
    "diff",
    "load",
    "open_package",
    "report",
    "targets",
    "train",
]

_NAMES = {
    "edgeml._api": ("bench", "diff", "report", "train"),
    "edgeml.core.errors": (
        "ConversionError",
        "EdgemlError",
        "InputError",
        "IsolationError",
        "MissingDependencyError",
        "PackageError",
        "ResourceError",
        "ResourceError",
        "StorageError",
        "TargetError",
        "UnsupportedModelError",
        "VerificationError",
    ),
    "edgeml.core.goal": ("Goal",),
    "edgeml.core.recipe": ("RECIPES",),
    "edgeml.core.registry.targets": ("targets",),
    "edgeml.core.session": ("Session",),
    "edgeml.package": ("Package", "load", "open_package"),
    "edgeml.pipeline": ("build",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _MODULES:
        message = f"module 'edgeml' has no attribute '{name}'"
        raise AttributeError(message, name=name, obj=importlib.import_module("edgeml"))
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
