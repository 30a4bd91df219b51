"""Packages: manifest, artifacts, golden vectors, evidence. Modules that few programs need are loaded lazily."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeml.package.failures import Failure
from edgeml.package.package import Package, load, open_package

if TYPE_CHECKING:
    from edgeml.package.diff import PackageDiff, diff_packages
    from edgeml.package.verify import Verification

__all__ = ["Failure", "Package", "PackageDiff", "Verification", "diff_packages", "load", "open_package"]

_MODULES = {
    "PackageDiff": "edgeml.package.diff",
    "Verification": "edgeml.package.verify",
    "diff_packages": "edgeml.package.diff",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    message = f"module 'edgeml.package' has no attribute '{name}'"
    raise AttributeError(message)
