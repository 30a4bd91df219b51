"""The file that ships: manifest, artifacts, golden vectors, evidence."""

from __future__ import annotations

from edgeml.package.diff import PackageDiff, diff_packages
from edgeml.package.failures import Failure
from edgeml.package.package import Package, Verification, load, open_package

__all__ = ["Failure", "Package", "PackageDiff", "Verification", "diff_packages", "load", "open_package"]
