"""Verified access to FlatBuffers without their library, which devices do not have.

The layout: https://flatbuffers.dev/internals. A table begins with the distance to its vtable, which holds the position
of each field within the table. All other objects are found by unsigned offsets from the field that refers to them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NoReturn

from edgeml.core.formats.contents import MalformedFileError

__all__ = ["Table", "VerifiedBuffer"]

_MAX_TABLES = 400_000  # of a network of 50,000 operators; a table takes a few microseconds
_I32, _U32, _VTABLE = struct.Struct("<i"), struct.Struct("<I"), struct.Struct("<HH")
_FORMATS = {(1, False): "B", (2, False): "H", (4, True): "i", (4, False): "I", (8, True): "q"}


class Table:
    """A verified table.

    Args:
        data: The whole buffer.
        fields: Position of each field in the buffer, by slot; 0 for a field that is absent.
    """

    __slots__ = ("_data", "_fields")

    def __init__(self, data: bytes, fields: tuple[int, ...]) -> None:
        self._data, self._fields = data, fields

    def position(self, slot: int) -> int:
        """Return the position of a field; 0 if absent."""
        return self._fields[slot] if slot < len(self._fields) else 0

    def number(self, slot: int, size: int, default: int = 0, *, signed: bool = True) -> int:
        """Return an integer field of `size` bytes."""
        at = self.position(slot)
        return int.from_bytes(self._data[at : at + size], "little", signed=signed) if at else default

    def target(self, slot: int) -> int:
        """Return the position of the object that a field refers to; 0 if absent."""
        at = self.position(slot)
        return at + _U32.unpack_from(self._data, at)[0] if at else 0

    def text(self, slot: int) -> str | None:
        """Return a string, or None if absent; invalid UTF-8 is replaced."""
        at = self.target(slot)
        return self._data[at + 4 : at + 4 + self.length(slot)].decode("utf-8", "replace") if at else None

    def length(self, slot: int) -> int:
        """Return the length of a vector or string; 0 if absent."""
        at = self.target(slot)
        return int(_U32.unpack_from(self._data, at)[0]) if at else 0

    def integers(self, slot: int, size: int = 4, *, signed: bool = True) -> tuple[int, ...]:
        """Return a vector of integers of `size` bytes; empty if absent."""
        at, count = self.target(slot), self.length(slot)
        return struct.unpack_from(f"<{count}{_FORMATS[size, signed]}", self._data, at + 4) if count else ()

    def floats(self, slot: int) -> tuple[float, ...]:
        """Return a vector of float32; empty if absent."""
        count = self.length(slot)
        return struct.unpack_from(f"<{count}f", self._data, self.target(slot) + 4) if count else ()


class VerifiedBuffer:
    """A FlatBuffer of which every object that the root refers to lies within the data.

    Args:
        data: The buffer.
        tables: Kinds of a table's fields by its name, as `tflite_schema` describes them.
        unions: Names of a union's tables.
        root: Name of the root's table.

    Attributes:
        end: Position behind the last object.

    Raises:
        MalformedFileError: An object lies outside, or is not in the tables.
    """

    def __init__(
        self, data: bytes, tables: Mapping[str, tuple[str, ...]], unions: Mapping[str, tuple[str, ...]], root: str
    ) -> None:
        self._data, self._tables, self._unions = data, tables, unions
        self._verified: dict[tuple[int, str], Table] = {}
        self.end = 8
        if len(data) < self.end:
            self._refuse("its header is cut off")
        self.root = self.table(_U32.unpack_from(data, 0)[0], root)

    def table(self, at: int, name: str) -> Table:
        """Return the table at a position, which is verified at the first call."""
        table = self._verified.get((at, name))
        if table is not None:
            return table
        if len(self._verified) == _MAX_TABLES:
            self._refuse(f"it has more than {_MAX_TABLES} tables")
        data, kinds = self._data, self._tables[name]
        self._require(at, 4, 4, name)
        vtable = at - _I32.unpack_from(data, at)[0]
        self._require(vtable, 4, 2, name)
        vtable_size, size = _VTABLE.unpack_from(data, vtable)
        self._require(vtable, vtable_size, 2, name)
        self._require(at, size, 4, name)
        count = (vtable_size - 4) // 2
        if vtable_size < 4 or vtable_size % 2 or size < 4:
            self._refuse(f"a {name} has a header that is not valid")
        offsets = struct.unpack_from(f"<{count}H", data, vtable + 4)
        if any(offsets[len(kinds) :]):
            self._refuse(f"a {name} has fields that are not known; a newer edgeml may know them")
        table = self._verified[at, name] = Table(data, tuple(at + offset if offset else 0 for offset in offsets))
        for slot, (offset, kind) in enumerate(zip(offsets, kinds, strict=False)):
            if not offset or kind == "-":
                continue
            is_number = kind.isdigit()
            width = int(kind) if is_number else 4
            if offset < 4 or offset + width > size or (at + offset) % width:
                self._refuse(f"field {slot} of a {name} lies outside of it")
            if not is_number:
                self._verify_reference(table, slot, kind)
        return table

    def elements(self, table: Table, slot: int, name: str) -> list[Table]:
        """Return the tables of a vector."""
        begin = table.target(slot) + 4
        places = range(begin, begin + 4 * table.length(slot), 4)
        return [self.table(at + _U32.unpack_from(self._data, at)[0], name) for at in places]

    def _verify_reference(self, table: Table, slot: int, kind: str) -> None:
        target = table.target(slot)
        if kind.startswith("<"):
            names = self._unions[kind[1:-1]]
            number = table.number(slot - 1, 1, signed=False)
            if number >= len(names):
                self._refuse(f"it has {kind[1:-1]} of kind {number}, which are not known")
            if number:
                self.table(target, names[number])
        elif kind == "s" or kind.startswith("["):
            self._require(target, 4, 4, "vector")
            length, element = table.length(slot), kind.strip("[]")
            width = int(element) if element.isdigit() else 1 if kind == "s" else 4
            self._require(target + 4, length * width, width, "vector")
            if kind == "s" and self._data[target + 4 + length : target + 5 + length] != b"\0":
                self._refuse("a text in it does not end")
            if width == 4 and not element.isdigit():
                self.elements(table, slot, element)
        else:
            self.table(target, kind)

    def _require(self, at: int, size: int, alignment: int, what: str) -> None:
        """Require that an object lies within the data."""
        end = at + size
        if at < 0 or end > len(self._data) or at % alignment:
            self._refuse(f"a {what} lies outside of the file")
        self.end = max(self.end, end)

    def _refuse(self, reason: str) -> NoReturn:
        raise MalformedFileError(reason)
