"""Finished measurements as lines of a file, so that a benchmark that was cut off goes on where it was."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from edgeml.core.errors import InputError, StorageError
from edgeml.core.records.benchmark_results import Comparison, Machine, Measurement
from edgeml.core.system.files import read_bytes
from edgeml.measurement import Case, Options

__all__ = ["Entry", "Journal", "JournalHead"]

_START = b'{"package":'  # of a journal's head, by which one that was cut off there is told from another file


class JournalHead(Struct, frozen=True, forbid_unknown_fields=True):
    """What all lines of a journal share.

    Attributes:
        package: Digest of the package.
        beside: What it was compared with, by name or digest; empty where it was not.
        options: How it was measured.
        machine: On which machine.
        date: When it began, as results have it.
    """

    package: str
    beside: str
    options: Options
    machine: Machine
    date: str


class Entry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line."""

    case: Case
    measurement: Measurement | None = None
    comparison: Comparison | None = None


class Journal:
    """A file that grows by a line with each measurement. A last line that was cut off counts as not there.

    Args:
        path: The file; None to keep none.
        head: What is being measured. A file that is there must be of the same package, options and machine.

    Attributes:
        head: That of the file, where there was one.
        done: What it holds.

    Raises:
        InputError: It belongs to another benchmark, or is no journal.
        StorageError: It cannot be read or written.
    """

    def __init__(self, path: Path | None, head: JournalHead) -> None:
        self._path = path
        self.head = head
        self.done: dict[Case, Entry] = {}
        if path is not None:
            self._open(path)

    def add(self, entry: Entry) -> None:
        """Adds a line, on the disk when this returns."""
        self.done[entry.case] = entry
        if self._path is not None:
            self._append(self._path, entry)

    def _open(self, path: Path) -> None:
        data = read_bytes(path) if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines()
        if not lines and _START.startswith(data[: len(_START)]):
            self._truncate(path, 0)
            self._append(path, self.head)
            return
        try:
            head = msgspec.json.decode(lines[0] if lines else data, type=JournalHead)
            entries = [msgspec.json.decode(line, type=Entry) for line in lines[1:]]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path} is no journal of this edgeml: {error}.", fix="remove it, or give another --journal."
            ) from error
        for name in ("package", "beside", "options", "machine"):
            if getattr(head, name) != getattr(self.head, name):
                what = {"package": "another package", "beside": "another comparison"}.get(name, f"other {name}")
                raise InputError(f"{path} is a journal of {what}.", fix="remove it, or give another --journal.")
        self.head = head
        self.done = {entry.case: entry for entry in entries}
        if len(whole) < len(data):
            self._truncate(path, len(whole))

    def _truncate(self, path: Path, size: int) -> None:
        try:
            with path.open("ab") as file:
                file.truncate(size)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error

    def _append(self, path: Path, line: Struct) -> None:
        try:
            with path.open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
