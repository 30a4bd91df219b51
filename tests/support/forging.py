"""Packages of other content, in good order: every digest holds."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import msgspec

from edgeml.package.archive import pack

__all__ = ["contents_of", "forged", "manifest_text", "with_manifest"]


def contents_of(package: bytes) -> dict[str, bytes]:
    """Content by name, read by the standard library."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def manifest_text(manifest: object) -> bytes:
    """Canonical JSON, the keys in the order that they are given in."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def forged(package: bytes, change: Callable[[Any, dict[str, bytes]], None]) -> bytes:
    """The package with a changed manifest and changed contents, and a right list of files."""
    contents = contents_of(package)
    manifest = json.loads(contents.pop("manifest.json"))
    change(manifest, contents)
    manifest["files"] = {
        name: {"size_bytes": len(data), "sha256": f"sha256:{hashlib.sha256(data).hexdigest()}"}
        for name, data in sorted(contents.items())
    }
    return pack({"manifest.json": manifest_text(manifest), **contents})


def with_manifest(package: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The package with another manifest text."""
    contents = contents_of(package)
    return pack({**contents, "manifest.json": change(contents["manifest.json"])})
