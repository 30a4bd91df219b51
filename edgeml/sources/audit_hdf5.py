"""Static checks of an HDF5 file: references to other files, and the sizes that its data sets declare."""

from __future__ import annotations

from typing import Any, BinaryIO

from edgeml.core.errors import InputError
from edgeml.core.system.files import max_unpacked_bytes

__all__ = ["HDF5_ERRORS", "audit_hdf5", "text_attribute"]

HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""Exceptions that h5py raises for a corrupt file."""


def audit_hdf5(file: BinaryIO, size_bytes: int, name: str) -> tuple[list[str], int]:
    """Walk groups, links and data sets without reading the data.

    Args:
        file: An open HDF5 file.
        size_bytes: Size of the file.
        name: Name of the file in messages.

    Returns:
        References to data outside the file, each a clause; and the number of elements that the data sets declare.

    Raises:
        InputError: The file is not a valid HDF5 file, or declares more data than it can hold.
    """
    import h5py

    findings: list[str] = []
    declared = elements = 0
    try:
        with h5py.File(file, "r") as root:
            pending: list[tuple[str, Any]] = [("", root)]
            seen: set[Any] = set()
            while pending:
                path, group = pending.pop()
                identity = h5py.h5o.get_info(group.id)
                if (identity.fileno, identity.addr) in seen:  # links can form cycles
                    continue
                seen.add((identity.fileno, identity.addr))
                for key in group:
                    location = f"{path}/{key}"
                    link = group.get(key, getlink=True)
                    if isinstance(link, h5py.ExternalLink):
                        findings.append(f"{location} is a link to another file, {link.filename!r:.80}")
                    elif isinstance(link, h5py.HardLink):
                        member = group[key]
                        if isinstance(member, h5py.Group):
                            pending.append((location, member))
                        elif isinstance(member, h5py.Dataset):
                            findings += _outside_references(location, member)
                            declared += member.size * member.dtype.itemsize
                            elements += member.size
    except HDF5_ERRORS as error:
        raise InputError(
            f"{name} is not a valid HDF5 file: {str(error) or type(error).__name__}.",
            fix="save the model again with model.save().",
        ) from error
    if declared > max_unpacked_bytes(size_bytes):
        raise InputError(f"{name} declares {declared} bytes of weights, but the file has {size_bytes} bytes.")
    return findings, elements


def text_attribute(root: Any, key: str, size_bytes: int, name: str) -> str | None:
    """Return an attribute of an open HDF5 file as text; None where the attribute is missing or of another type.

    Args:
        root: An `h5py.File`.
        key: Name of the attribute.
        size_bytes: Size of the file.
        name: Name of the file in messages.

    Raises:
        InputError: The attribute declares more bytes than the file has, or is not valid UTF-8.
    """
    if key not in root.attrs:
        return None
    attribute = root.attrs.get_id(key)
    if attribute.shape != ():
        return None
    if max(attribute.get_storage_size(), attribute.dtype.itemsize) > size_bytes:
        raise InputError(f"{name} is corrupt: the attribute '{key}' is larger than the file.")
    value = root.attrs[key]
    try:
        return value.decode() if isinstance(value, bytes) else value if isinstance(value, str) else None
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is corrupt: the attribute '{key}' is not valid UTF-8.") from error


def _outside_references(location: str, dataset: Any) -> list[str]:
    findings = []
    if dataset.external:
        findings.append(f"{location} keeps its data in another file, {dataset.external[0][0]!r:.80}")
    if dataset.is_virtual:
        findings.append(f"{location} is a virtual data set, composed of others")
    return findings
