"""Preprocessing of raw images, sound and tables, as declared for a model's inputs. Needs NumPy alone."""

from __future__ import annotations

from edgeml.core.preprocessing import Audio, Declaration, Image, Table
from edgeml.preprocessing.declarations import read_declarations
from edgeml.preprocessing.raw_files import read_raw

__all__ = ["Audio", "Declaration", "Image", "Table", "read_declarations", "read_raw"]
