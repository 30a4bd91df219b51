"""Static checks of a ZIP archive, before any entry is extracted."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from edgeml.core.errors import InputError
from edgeml.core.system.files import max_unpacked_bytes

__all__ = ["check_archive"]

_MAX_ENTRIES = 10_000


def check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Check the names and the declared sizes of the entries.

    Raises:
        InputError: A name points outside the archive or occurs twice, or the entries declare more data than the file
            can hold.
    """
    entries = archive.infolist()
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        linked = entry.external_attr >> 16 & 0o170000 == 0o120000
        if name.is_absolute() or ".." in name.parts or ":" in entry.filename or linked:
            raise InputError(f"{path.name}: the entry {entry.filename!r:.80} points outside the archive.")
    if len({entry.filename for entry in entries}) != len(entries):
        raise InputError(f"{path.name}: two entries have the same name.")
    declared, size_bytes = sum(entry.file_size for entry in entries), path.stat().st_size
    if len(entries) > _MAX_ENTRIES or declared > max_unpacked_bytes(size_bytes):
        raise InputError(
            f"{path.name} declares {declared} bytes in {len(entries)} entries, but the file has {size_bytes} bytes."
        )
