"""Model files as bytes: of parsed TFLite models, and out of packages."""

from __future__ import annotations

from typing import Any

import flatbuffers

import edgeml

__all__ = ["artifact_bytes", "packed"]


def packed(model: Any) -> bytes:
    """The file of a `ModelT`."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def artifact_bytes(package: edgeml.Package, recipe: str) -> bytes:
    """An artifact's file."""
    return package.read(package.artifact(recipe).file)
