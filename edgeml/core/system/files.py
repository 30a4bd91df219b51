"""Reading of files within limits, and their atomic replacement."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgeml.core.errors import InputError, StorageError
from edgeml.core.system.locks import lock_file

__all__ = [
    "MAX_FILE_BYTES",
    "atomic_write",
    "max_unpacked_bytes",
    "open_file",
    "read_bytes",
    "read_errors",
]

MAX_FILE_BYTES = 2**32
"""Size of the largest file that is read into memory, in bytes."""

_MAX_STEM_BYTES = 200  # of a temporary file's name: names may have 255
_READER_S = 5.0  # for a program that is to read from a pipe


@contextlib.contextmanager
def read_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Translate the system's errors while a file is read in the block.

    Raises:
        InputError: The file does not exist.
        StorageError: The file cannot be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{os.fspath(path)}: file not found.") from error
    except OSError as error:
        raise StorageError(f"{os.fspath(path)} cannot be read: {error.strerror or error}.") from error


def max_unpacked_bytes(size_bytes: int) -> int:
    """Return the size that a compressed file of a size may unpack to, in bytes: 8 times, but at least 64 MB."""
    return max(2**26, 8 * size_bytes)


@contextlib.contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for the block, to read bytes. Pipes and devices, which may have no end, are refused.

    Errors of the block itself pass unchanged; `read_errors` translates those of reading.

    Raises:
        InputError: The file does not exist, or is a pipe or a device.
        StorageError: The file cannot be opened.
    """
    with read_errors(path):
        file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115  # closed below
    with file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            kind = "pipe" if stat.S_ISFIFO(mode) else "device"
            raise InputError(f"{os.fspath(path)}: expected a file, got a {kind}.", fix="save the data to a file.")
        yield file


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that no program writes to would block."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def read_bytes(path: Path, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """Read a whole file at once, so that the bytes that are checked are the bytes that are used.

    Args:
        path: The file.
        limit: Size of the largest file that is read, in bytes.

    Raises:
        InputError: The file does not exist, is a pipe or a device, or is larger than the limit.
        StorageError: The file cannot be read.
    """
    with read_errors(path), open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise InputError(f"{path}: the file has {size} bytes, expected at most {limit}.")
        return file.read(size)  # not what is added meanwhile


def atomic_write(path: Path, data: bytes) -> None:
    """Replace a file, so that a crash at any moment leaves either the old file or the new one, complete.

    The data are written to a temporary file in the same folder and synchronized to the disk; then the file is renamed
    and the folder synchronized. A temporary file that a killed process left is removed by the next write. The mode of
    a file that exists stays, and its owner where this user may set it. A device or a pipe is not replaced: the data
    are written into it.

    Raises:
        StorageError: The folder is missing or cannot be written, or the disk is full. The old file is unchanged.
    """
    try:
        try:
            old = path.stat()  # follows links where the system does: not those of others in a shared folder
        except FileNotFoundError:
            old = None
        if old is None or stat.S_ISREG(old.st_mode):
            _replace(Path(os.path.realpath(path)), data, old)
        else:
            _write_into(path, data, old.st_mode)
    except (OSError, ValueError) as error:  # the second of a name that the system cannot have
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise StorageError(
            f"{path} cannot be written: {reason}.",
            fix="free some space, or choose a folder that you may write to.",
        ) from error


def _replace(path: Path, data: bytes, old: os.stat_result | None) -> None:
    stem = os.fsdecode(os.fsencode(path.name)[:_MAX_STEM_BYTES])
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)  # with it, a path may have any length
    try:
        _remove_abandoned_files(folder, stem)
        temporary, descriptor = _create_locked(stem, folder, 0o666 if old is None else 0o600)
        try:
            if old is not None:
                _copy_permissions(descriptor, old)
            _write_all(descriptor, data)
            os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy_permissions(descriptor: int, old: os.stat_result) -> None:
    """Give a file the owner and the mode of the file that it replaces; its group loses its rights if it changes."""
    mode = stat.S_IMODE(old.st_mode)
    try:
        os.fchown(descriptor, old.st_uid, old.st_gid)
    except OSError:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            mode &= ~stat.S_IRWXG
    os.fchmod(descriptor, mode)


def _write_into(path: Path, data: bytes, mode: int) -> None:
    """Write to a character device, or to a pipe that a program reads."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(0, "Is a directory")
    if not (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        raise OSError(0, "expected a file, a pipe or a character device")
    deadline = time.monotonic() + _READER_S
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > deadline:
                raise OSError(error.errno, "no program reads from this pipe") from error
            time.sleep(0.05)
    try:
        os.set_blocking(descriptor, True)
        _write_all(descriptor, data, sync=False)
    finally:
        os.close(descriptor)


def _remove_abandoned_files(folder: int, stem: str) -> None:
    """Remove the temporary files of dead processes: files without a lock."""
    pattern = re.compile(rf"\.{re.escape(stem)}\.[0-9a-f]{{8}}\.tmp")
    for name in os.listdir(folder):
        if not pattern.fullmatch(name):
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            try:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    lock_file(descriptor, wait=False)
                    os.unlink(name, dir_fd=folder)
            finally:
                os.close(descriptor)


def _create_locked(stem: str, folder: int, mode: int) -> tuple[str, int]:
    """Create a temporary file in a folder and return its name and its descriptor, which holds a lock."""
    import secrets

    while True:
        # A new name each time: another writer may still hold the removed file, and remove its name once more.
        name = f".{stem}.{secrets.token_hex(4)}.tmp"
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder)
        with contextlib.suppress(OSError):  # a file system without locks: abandoned files stay there
            lock_file(descriptor)
        if os.fstat(descriptor).st_nlink:
            return name, descriptor
        os.close(descriptor)  # another writer removed it as abandoned before it was locked


def _write_all(descriptor: int, data: bytes, *, sync: bool = True) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    if sync:
        os.fsync(descriptor)
