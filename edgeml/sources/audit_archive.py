"""Whether a ZIP archive is what an honest tool writes, before anything is taken out of it."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from edgeml.core.errors import InputError

__all__ = ["check_archive"]

_MOST_ENTRIES = 10_000
_MOST_TIMES = 100  # weights hardly compress
_ALWAYS_FINE = 2**24  # bytes


def check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Looks at names and declared sizes.

    Raises:
        InputError: A name leads out of the archive, or it declares more than it can hold.
    """
    entries = archive.infolist()
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        linked = entry.external_attr >> 16 & 0o170000 == 0o120000
        if name.is_absolute() or ".." in name.parts or ":" in entry.filename or linked:
            raise InputError(f"{path.name}: the entry {entry.filename!r:.80} leads out of the archive.")
    if len({entry.filename for entry in entries}) != len(entries):
        raise InputError(f"{path.name}: two entries have one name.")
    declared, held = sum(entry.file_size for entry in entries), path.stat().st_size
    if len(entries) > _MOST_ENTRIES or declared > max(_ALWAYS_FINE, _MOST_TIMES * held):
        raise InputError(
            f"{path.name} declares {declared} bytes in {len(entries)} entries, and the file has {held} bytes."
        )
