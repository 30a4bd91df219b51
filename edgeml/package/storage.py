"""Writing so that a crash at any moment leaves the old file or the new one, whole."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import secrets
from pathlib import Path

from edgeml.core.errors import StorageError

__all__ = ["write_durably"]


def write_durably(path: Path, data: bytes) -> None:
    """Replaces a file.

    Where the file system can, the new file has no name until it is whole and on the disk; a process killed
    before that leaves nothing behind. What one killed later leaves, the next write removes.

    Raises:
        StorageError: The folder is missing or cannot be written, or the disk is full. The old file is as it was.
    """
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "Is a directory")
        _remove_abandoned(path)
        descriptor = _write_new(beside, data)
        try:
            beside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
        finally:
            os.close(descriptor)
        _sync(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.",
            fix="free some space, or choose a folder that you may write to.",
        ) from error


def _remove_abandoned(path: Path) -> None:
    """Removes the temporary files of dead processes: those that nobody holds locked."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.tmp"):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_WRONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
            finally:
                os.close(descriptor)


def _write_new(path: Path, data: bytes) -> int:
    """Writes a file that appears under its name when it is whole; gives its descriptor, which holds a lock."""
    try:
        return _write_unnamed(path, data)
    except (AttributeError, OSError):  # not Linux, or a file system without unnamed files
        return _write_named(path, data)


def _write_unnamed(path: Path, data: bytes) -> int:
    descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    try:
        _lock(descriptor)
        _write_all(descriptor, data)
        # The directory descriptor is there to make Python call linkat, which alone follows the link.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write_named(path: Path, data: bytes) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    _lock(descriptor)
    if os.fstat(descriptor).st_nlink == 0:  # another writer took it for abandoned before it was locked
        os.close(descriptor)
        return _write_named(path, data)
    try:
        _write_all(descriptor, data)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return descriptor


def _lock(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # a file system without locks: what is left behind there stays
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
