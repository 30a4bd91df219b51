"""edgeml: from a trained model to a package that runs, proven, on any edge target.

Importing it loads no framework and no runtime; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeml._version import __version__

if TYPE_CHECKING:
    from edgeml.core.errors import EdgemlError
    from edgeml.core.goal import Goal
    from edgeml.core.recipe import RECIPES
    from edgeml.core.registry.targets import targets
    from edgeml.package import Package, load, open_package
    from edgeml.pipeline import build

__all__ = ["RECIPES", "EdgemlError", "Goal", "Package", "__version__", "build", "load", "open_package", "targets"]

_HOMES = {
    "RECIPES": "edgeml.core.recipe",
    "EdgemlError": "edgeml.core.errors",
    "Goal": "edgeml.core.goal",
    "Package": "edgeml.package",
    "build": "edgeml.pipeline",
    "load": "edgeml.package",
    "open_package": "edgeml.package",
    "targets": "edgeml.core.registry.targets",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgeml' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
