"""Atomic replacement of files, errors of reading, and temporary folders that do not outlive their process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from edgeml.core.errors import InputError, StorageError

__all__ = ["atomic_write", "locked_folder", "read_bytes", "read_errors"]


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


def read_bytes(path: Path) -> bytes:
    """Read a whole file at once, so that the bytes that are checked are the bytes that are used.

    Raises:
        InputError: The file does not exist.
        StorageError: The file cannot be read.
    """
    with read_errors(path):
        return path.read_bytes()


def atomic_write(path: Path, data: bytes) -> None:
    """Replace a file, so that a crash at any moment leaves either the old file or the new one, complete.

    The data are written to a temporary file in the same folder and synchronized to the disk; then the file is renamed
    and the folder synchronized. A temporary file that a killed process left is removed by the next write.

    Raises:
        StorageError: The folder is missing or cannot be written, or the disk is full. The old file is unchanged.
    """
    import secrets

    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "Is a directory")
        _remove_abandoned_files(path)
        descriptor = _create_locked(temporary)
        try:
            _write_all(descriptor, data)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(descriptor)
        _sync(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.",
            fix="free some space, or choose a folder that you may write to.",
        ) from error


@contextlib.contextmanager
def locked_folder(prefix: str) -> Iterator[Path]:
    """Create a temporary folder for the block and remove it at the end.

    A lock marks the folder as in use: the folder of a killed process is removed by the next call.

    Args:
        prefix: Beginning of the folder's name, by which abandoned folders are found.
    """
    import shutil
    import tempfile

    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_abandoned_folder(path)
    folder, descriptor = _create_locked_folder(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_abandoned_files(path: Path) -> None:
    """Remove the temporary files of dead processes: files without a lock."""
    import glob

    for temporary in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.tmp"):
        with contextlib.suppress(OSError):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_NOFOLLOW)
            try:
                _lock(descriptor, wait=False)
                temporary.unlink()
            finally:
                os.close(descriptor)


def _create_locked(path: Path) -> int:
    """Create a file and return its descriptor, which holds a lock."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks: abandoned files stay there
            _lock(descriptor)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # another writer removed it as abandoned before it was locked


def _create_locked_folder(prefix: str) -> tuple[Path, int]:
    import tempfile

    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        with contextlib.suppress(FileNotFoundError):  # another process removed it as abandoned before it was locked
            descriptor = os.open(folder, os.O_RDONLY)
            with contextlib.suppress(OSError):  # a file system without locks
                _lock(descriptor)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _remove_abandoned_folder(folder: Path) -> None:
    import shutil

    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                _lock(descriptor, wait=False)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _lock(descriptor: int, *, wait: bool = True) -> None:
    """Lock a file or folder for this process; raise BlockingIOError if another process holds it and `wait` is false."""
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


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
