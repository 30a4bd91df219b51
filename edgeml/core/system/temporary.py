"""Temporary folders that do not outlive their process."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from edgeml.core.errors import StorageError
from edgeml.core.system.locks import lock_file

__all__ = ["TemporaryFolder"]

_PREFIX = "edgeml-tmp-"


class TemporaryFolder:
    """A folder in the system's temporary folder. `close` removes it.

    A lock marks the folder as in use: the next one that is created removes those of processes that were killed.

    Attributes:
        path: The folder.

    Raises:
        StorageError: The folder cannot be created.

    Example:
        >>> with TemporaryFolder() as folder:
        ...     (folder / "x").write_text("y")
    """

    def __init__(self) -> None:
        try:
            _remove_abandoned()
            self.path, self._descriptor = _create_locked()
        except OSError as error:
            raise StorageError(
                f"Temporary files cannot be written: {error.strerror or error}.",
                fix="free some space, or point TMPDIR to a larger disk.",
            ) from error

    def close(self) -> None:
        """Remove the folder."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(descriptor)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()


def _create_locked() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with contextlib.suppress(FileNotFoundError):  # another process removed it as abandoned before it was locked
            descriptor = os.open(folder, os.O_RDONLY)
            with contextlib.suppress(OSError):  # a file system without locks
                lock_file(descriptor)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _remove_abandoned() -> None:
    """Remove the folders of this user whose process is dead."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    lock_file(descriptor, wait=False)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
