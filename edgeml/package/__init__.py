"""The file that ships: manifest, artifacts, golden vectors, evidence. What compares two is loaded when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeml.package.failures import Failure
from edgeml.package.package import Package, Verification, load, open_package

if TYPE_CHECKING:
    from edgeml.package.diff import PackageDiff, diff_packages

__all__ = ["Failure", "Package", "PackageDiff", "Verification", "diff_packages", "load", "open_package"]


def __getattr__(name: str) -> Any:
    if name in {"PackageDiff", "diff_packages"}:
        from edgeml.package import diff

        return getattr(diff, name)
    raise AttributeError(f"module 'edgeml.package' has no attribute '{name}'")
