"""What an HDF5 file reaches for beyond itself, and whether it holds the sizes that it declares."""

from __future__ import annotations

from typing import Any, BinaryIO

from edgeml.core.errors import InputError

__all__ = ["audit_hdf5"]

# Weights hardly compress; of what a file declares beyond this many times its size nothing is weights.
_MOST_TIMES = 100
_ALWAYS_FINE = 2**24  # bytes


def audit_hdf5(file: BinaryIO, size_bytes: int, name: str) -> tuple[list[str], int]:
    """Walks groups, links and data sets, and reads none of them.

    Args:
        file: An open HDF5 file.
        size_bytes: Its size.
        name: What to call it in messages.

    Returns:
        What it reaches for, each a clause; and how many elements its data sets declare.

    Raises:
        InputError: It is no HDF5 file, or declares more than it can hold.
    """
    import h5py

    findings: list[str] = []
    declared = elements = 0
    try:
        with h5py.File(file, "r") as root:
            waiting: list[tuple[str, Any]] = [("", root)]
            seen: set[Any] = set()
            while waiting:
                path, group = waiting.pop()
                identity = h5py.h5o.get_info(group.id)
                if (identity.fileno, identity.addr) in seen:  # links may go round in circles
                    continue
                seen.add((identity.fileno, identity.addr))
                for key in group:
                    where = f"{path}/{key}"
                    link = group.get(key, getlink=True)
                    if isinstance(link, h5py.ExternalLink):
                        findings.append(f"{where} is a link to another file, {link.filename!r:.80}")
                    elif isinstance(link, h5py.HardLink):
                        found = group[key]
                        if isinstance(found, h5py.Group):
                            waiting.append((where, found))
                        elif isinstance(found, h5py.Dataset):
                            findings += _reaching(where, found)
                            declared += found.size * found.dtype.itemsize
                            elements += found.size
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{name} is no sound HDF5 file: {str(error) or type(error).__name__}.", fix="save it again by model.save()."
        ) from error
    if declared > max(_ALWAYS_FINE, _MOST_TIMES * size_bytes):
        raise InputError(f"{name} declares {declared} bytes of weights, and the file has {size_bytes}.")
    return findings, elements


def _reaching(where: str, dataset: Any) -> list[str]:
    found = []
    if dataset.external:
        found.append(f"{where} keeps its data in another file, {dataset.external[0][0]!r:.80}")
    if dataset.is_virtual:
        found.append(f"{where} is put together from other data sets")
    return found
