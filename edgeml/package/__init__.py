"""The file that ships: manifest, artifacts, golden vectors, evidence."""

from __future__ import annotations

from edgeml.package.package import Failure, Package, Verification, load, open_package

__all__ = ["Failure", "Package", "Verification", "load", "open_package"]
