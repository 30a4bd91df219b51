"""The file that ships: manifest, artifacts, golden vectors, evidence."""

from __future__ import annotations

from edgeml.package.failures import Failure
from edgeml.package.package import Package, Verification, load, open_package

__all__ = ["Failure", "Package", "Verification", "load", "open_package"]
