"""Canonical ZIP archives: entries stored, in one order, with fixed metadata and no gaps.

A set of entries has exactly one sequence of bytes, so every difference is damage. The format is implemented here
because `zipfile` does not guarantee the same bytes from one Python version to the next; every ZIP tool reads it.
Field meanings: PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from itertools import accumulate, pairwise

from msgspec import Struct

from edgeml.core.errors import InputError, PackageError
from edgeml.core.system.files import open_file, read_errors

__all__ = ["FIRST", "Archive", "pack"]

FIRST = "manifest.json"
MAX_ENTRIES = 4096
MAX_BYTES = 2**32 - 2**20  # offsets have 32 bits; the margin holds the directory
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_MAX_NAME = 255
_MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".skops", ".tflite", ".onnx")  # files that `edgeml build` reads

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION = 20
_DATE = 0x0021  # 1 January 1980, the earliest date of the ZIP format
_MODE = 0o100644 << 16
_UNIX_VERSION = 3 << 8 | _VERSION


class _Entry(Struct, frozen=True):
    name: str
    crc: int
    size: int
    offset: int

    def local(self) -> bytes:
        name = self.name.encode()
        return _LOCAL.pack(b"PK\3\4", _VERSION, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(name), 0) + name

    def central(self) -> bytes:
        name = self.name.encode()
        return (
            _CENTRAL.pack(
                b"PK\1\2",
                _UNIX_VERSION,
                _VERSION,
                0,
                0,
                0,
                _DATE,
                self.crc,
                self.size,
                self.size,
                len(name),
                0,
                0,
                0,
                0,
                _MODE,
                self.offset,
            )
            + name
        )


def _is_plain(name: str) -> bool:
    """Return whether all parts of a path consist of plain letters, and none begins with a dot or a hyphen."""
    return all(part and part[0] not in ".-" and not part.strip(_LETTERS) for part in name.split("/"))


def _order(name: str) -> tuple[bool, str]:
    return name != FIRST, name


def _layout(parts: list[tuple[str, int, int]]) -> list[_Entry]:
    """Return the entries with these names, checksums and sizes, each with its offset in the file."""
    entries, offset = [], 0
    for name, crc, size in parts:
        entries.append(_Entry(name, crc, size, offset))
        offset += _LOCAL.size + len(name) + size
    return entries


def _directory(entries: list[_Entry]) -> bytes:
    """Return the part of the file after the last entry: the central directory and its end record."""
    last = entries[-1]
    begin = last.offset + len(last.local()) + last.size
    central = b"".join(entry.central() for entry in entries)
    return central + _END.pack(b"PK\5\6", 0, 0, len(entries), len(entries), len(central), begin, 0)


def pack(contents: Mapping[str, bytes]) -> bytes:
    """Return the archive of these entries as bytes.

    Raises:
        InputError: The entries are more or larger than format 1 allows.
    """
    names = sorted(contents, key=_order)
    if sum(map(len, contents.values())) > MAX_BYTES or len(names) > MAX_ENTRIES:
        raise InputError(
            f"The package has {sum(map(len, contents.values()))} bytes in {len(names)} entries, expected at most "
            f"{MAX_BYTES} bytes in {MAX_ENTRIES} entries.",
            fix="leave out some recipes.",
        )
    entries = _layout([(name, zlib.crc32(contents[name]), len(contents[name])) for name in names])
    bodies = [part for entry in entries for part in (entry.local(), contents[entry.name])]
    return b"".join([*bodies, _directory(entries)])


class Archive:
    """Reader of an archive in memory or in a file; a file is opened for each read.

    The directory is checked on opening, the header and checksum of an entry when the entry is read.

    Args:
        source: The bytes, or a path.

    Raises:
        InputError: The file does not exist.
        StorageError: The file cannot be read.
        PackageError: The file is not a canonical archive.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes) -> None:
        self._source = source if isinstance(source, bytes) else os.fspath(source)
        self.label = "the package" if isinstance(source, bytes) else os.path.basename(os.path.normpath(source))
        self._entries = {entry.name: entry for entry in self._read_directory()}

    @property
    def sizes(self) -> dict[str, int]:
        """Size of each entry in bytes, by name, in the archive's order."""
        return {name: entry.size for name, entry in self._entries.items()}

    def read(self, name: str, *, checksum: bool = True) -> bytes:
        """Return the bytes of an entry.

        Args:
            name: Name of the entry.
            checksum: Whether to check the archive's checksum; redundant where a digest is checked.

        Raises:
            PackageError: The archive does not contain the entry, or the entry is damaged.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise self._invalid(f"entry '{name}' is missing")
        header = entry.local()
        stored_header, body = self._bytes(entry.offset, len(header), entry.size)
        if stored_header != header:
            raise self._invalid(f"the header of '{name}' differs from the directory")
        if checksum and zlib.crc32(body) != entry.crc:
            raise self._invalid(f"the checksum of '{name}' does not match")
        return body

    def _read_directory(self) -> list[_Entry]:
        size = self._size()
        if size == 0:
            raise self._invalid("it is empty")
        if size < _END.size:
            raise self._invalid("it is too short")
        (end,) = self._bytes(size - _END.size, _END.size)
        signature, _, _, _, count, length, begin, _ = _END.unpack(end)
        if signature != b"PK\5\6":
            raise self._invalid("it is truncated, or not a package at all")
        fits = 0 < count <= MAX_ENTRIES and length <= count * (_CENTRAL.size + _MAX_NAME)
        if not fits or begin + length + _END.size != size:
            raise self._invalid("its directory does not fit the file")
        (directory,) = self._bytes(begin, length)
        parts, position = [], 0
        for _ in range(count):
            if position + _CENTRAL.size > length:
                raise self._invalid("its directory is truncated")
            fields = _CENTRAL.unpack_from(directory, position)
            crc, stored, name_length = fields[7], fields[9], fields[10]
            raw = directory[position + _CENTRAL.size : position + _CENTRAL.size + name_length]
            name = raw.decode("latin-1")
            if not _is_plain(name) or len(name) > _MAX_NAME:
                raise self._invalid(f"the entry name {name[:80]!r} is not allowed")
            parts.append((name, crc, stored))
            position += _CENTRAL.size + name_length
        if sum(stored for _, _, stored in parts) > begin:
            raise self._invalid("its directory lists more bytes than the file contains")
        names = [name for name, _, _ in parts]
        if names[0] != FIRST or names != sorted(set(names), key=_order):
            raise self._invalid(f"its entries are not in order, with {FIRST} first")
        entries = _layout(parts)
        if _directory(entries) != directory + end:
            raise self._invalid("its directory is not in canonical form")
        return entries

    def _size(self) -> int:
        if isinstance(self._source, bytes):
            return len(self._source)
        with open_file(self._source) as file:
            return os.fstat(file.fileno()).st_size

    def _bytes(self, begin: int, *counts: int) -> list[bytes]:
        """Return consecutive parts of the archive."""
        if isinstance(self._source, bytes):
            ends = list(accumulate(counts, initial=begin))
            parts = [self._source[first:last] for first, last in pairwise(ends)]
        else:
            with read_errors(self._source), open_file(self._source) as file:
                file.seek(begin)
                parts = [file.read(count) for count in counts]
        if list(map(len, parts)) != list(counts):
            raise self._invalid("it is truncated")
        return parts

    def _invalid(self, reason: str) -> PackageError:
        if self.label.lower().endswith(_MODEL_SUFFIXES):
            return PackageError(
                f"{self.label} is a model file, not a package.",
                fix=f"build a package from it: edgeml build {self.label} -o {self.label.rpartition('.')[0]}.edgeml",
            )
        return PackageError(
            f"{self.label} is not a valid package: {reason}.", fix="get the file again, or build the package again."
        )
