"""Reading of a manifest: its form, then its consistency."""

from __future__ import annotations

from edgeml.core.errors import PackageError
from edgeml.core.records.record import decode_strict
from edgeml.package.consistency import check_consistency
from edgeml.package.format import FORMAT
from edgeml.package.manifest import Manifest, encode_manifest

__all__ = ["decode_manifest"]


def decode_manifest(data: bytes, label: str) -> Manifest:
    """Read a manifest strictly.

    Args:
        data: The JSON text.
        label: Name of the package in messages.

    Raises:
        PackageError: The data are not a manifest of format 1 in canonical form, or contradict themselves.
    """
    invalid = f"{label}: the manifest is invalid"
    manifest = decode_strict(data, Manifest, label, error=PackageError, unsound=invalid, format_=FORMAT)
    if encode_manifest(manifest) != data:
        raise PackageError(f"{label}: the manifest is not in the canonical form of format {FORMAT}.")
    check_consistency(manifest, label)
    return manifest
