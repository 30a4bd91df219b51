"""Journal of finished measurements, from which an interrupted benchmark resumes."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from edgeml.core.errors import InputError, StorageError
from edgeml.core.records.benchmark_results import MAX_RESULTS_BYTES, Comparison, Machine, Measurement
from edgeml.core.system.files import read_bytes
from edgeml.measurement import Case, Options

__all__ = ["Entry", "Journal", "JournalHead"]

_START = b'{"package":'  # start of a journal's head, which tells a truncated journal from another file


class JournalHead(Struct, frozen=True, forbid_unknown_fields=True):
    """First line of a journal: what all its measurements share.

    Attributes:
        package: Digest of the package.
        beside: Name or digest of the second package or file of a comparison; empty without a comparison.
        options: Options of the benchmark.
        machine: Machine that measures.
        date: Start of the benchmark, in the format of results files.
    """

    package: str
    beside: str
    options: Options
    machine: Machine
    date: str


class Entry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Further line of a journal.

    Attributes:
        case: Case that was measured.
        measurement: Measurement of the case.
        comparison: Comparison of the case with another.
    """

    case: Case
    measurement: Measurement | None = None
    comparison: Comparison | None = None


class Journal:
    """A file that grows by a line with each measurement. An incomplete last line is ignored.

    Args:
        path: The file; None to keep the journal in memory only.
        head: Description of the benchmark. An existing file must be of the same package, options and machine.

    Attributes:
        head: Head of the existing file, otherwise the argument.
        done: Entry of each measured case.

    Raises:
        InputError: The file belongs to another benchmark, or is not a journal.
        StorageError: The file cannot be read or written.
    """

    def __init__(self, path: Path | None, head: JournalHead) -> None:
        self._path = path
        self.head = head
        self.done: dict[Case, Entry] = {}
        if path is not None:
            self._open(path)

    def add(self, entry: Entry) -> None:
        """Append a line; the line is on the disk when this method returns."""
        self.done[entry.case] = entry
        if self._path is not None:
            self._append(self._path, entry)

    def _open(self, path: Path) -> None:
        data = read_bytes(path, limit=MAX_RESULTS_BYTES) if path.exists() else b""
        complete = data[: data.rfind(b"\n") + 1]
        lines = complete.splitlines()
        if not lines and _START.startswith(data[: len(_START)]):
            self._truncate(path, 0)
            self._append(path, self.head)
            return
        try:
            head = msgspec.json.decode(lines[0] if lines else data, type=JournalHead)
            entries = [msgspec.json.decode(line, type=Entry) for line in lines[1:]]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(
                f"{path} is not a journal of this version of edgeml: {error}.",
                fix="remove it, or give another --journal.",
            ) from error
        for name in ("package", "beside", "options", "machine"):
            if getattr(head, name) != getattr(self.head, name):
                other = {"package": "another package", "beside": "another comparison"}.get(name, f"other {name}")
                raise InputError(f"{path} is a journal of {other}.", fix="remove it, or give another --journal.")
        self.head = head
        self.done = {entry.case: entry for entry in entries}
        if len(complete) < len(data):
            self._truncate(path, len(complete))

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
