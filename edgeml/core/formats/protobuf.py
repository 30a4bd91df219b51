"""Reading of protobuf messages without protobuf, which devices do not have.

The encoding: https://protobuf.dev/programming-guides/encoding. A message is a sequence of fields, each a tag, which
holds the field's number and wire type, and a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
from msgspec import Struct

from edgeml.core.formats.contents import MalformedFileError

__all__ = ["BYTES", "FIXED32", "FIXED64", "VARINT", "Field", "Message", "ProtobufReader"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

_WIDTHS = {FIXED64: 8, FIXED32: 4}
_LONG = 256  # bytes; the fields of shorter runs are read one by one
_RUN = 4096  # texts that a regular expression matches at a time: its memory grows with their number
_SHORT = 16  # bytes; longer texts are read one by one


class Message(Struct, frozen=True):
    """The fields of a message type, by number, with their wire types.

    Repeated numbers have two encodings: a field per number, and packed into one field of bytes.

    Attributes:
        read: Fields that `ProtobufReader.fields` yields.
        skipped: Fields whose content does not matter.
    """

    read: Mapping[int, tuple[int, ...]]
    skipped: Mapping[int, tuple[int, ...]]


Field = tuple[int, int, int, int]
"""Number and wire type of a field, and the span of its value; of a varint, the value in place of the begin."""


class ProtobufReader:
    """A reader of the messages in one file.

    Args:
        data: The file.
        most_fields: Number of fields above which a file is refused: a field takes about a microsecond.
    """

    def __init__(self, data: bytes, most_fields: int) -> None:
        self.data = data
        self._fields_left = most_fields

    def fields(self, begin: int, end: int, message: Message) -> Iterator[Field]:
        """Yield the fields of a message that are to be read.

        Args:
            begin: Offset of the message.
            end: Offset of its end.
            message: Type of the message.

        Raises:
            MalformedFileError: The message is damaged or has fields that its type does not have, or the file has too
                many.
        """
        data, at = self.data, begin
        read, skipped = message.read, message.skipped
        while at < end:
            tag_at, tag = at, data[at]
            at += 1
            if tag > 127:
                tag, at = self.varint(tag_at, end)
            number, wire = tag >> 3, tag & 7
            is_read = wire in read.get(number, ())
            if not is_read and wire not in skipped.get(number, ()):
                raise MalformedFileError(f"it has a field {number} of wire type {wire}, which is not known")
            self._fields_left -= 1
            if self._fields_left < 0:
                raise MalformedFileError("it has too many parts")
            if wire == BYTES:
                size, begin = self.varint(at, end)
                at = begin + size
            elif wire == VARINT:
                begin, at = self.varint(at, end)
            else:
                begin, at = at, at + _WIDTHS[wire]
            if at > end:
                raise MalformedFileError("a part of it is longer than the whole")
            if is_read:
                yield number, wire, begin, at
            elif end - at > _LONG and data[at] == tag < 128:
                at = _run_end(data, tag, at, end)

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """Return an unsigned number and the offset behind it.

        Raises:
            MalformedFileError: The number does not end.
        """
        value = shift = 0
        while at < end and shift < 70:
            byte = self.data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
            shift += 7
        raise MalformedFileError("a number in it does not end")

    def integers(self, field: Field, most: int) -> list[int]:
        """Return the signed integers of a repeated field of them, in either encoding.

        Raises:
            MalformedFileError: The field has more than `most` integers.
        """
        _, wire, begin, end = field
        if wire == VARINT:
            return [_signed(begin)]
        values: list[int] = []
        while begin < end:
            value, begin = self.varint(begin, end)
            values.append(_signed(value))
            if len(values) > most:
                raise MalformedFileError(f"a part of it has more than {most} numbers")
        return values

    def text(self, begin: int, end: int) -> str:
        """Return a text.

        Raises:
            MalformedFileError: The text is not valid UTF-8.
        """
        try:
            return self.data[begin:end].decode()
        except UnicodeDecodeError as error:
            raise MalformedFileError("the name of a tensor or operator is not valid UTF-8") from error


def _run_end(data: bytes, tag: int, at: int, end: int) -> int:
    """Return the end of the fields of one tag that begin at an offset, such as the millions of values of a forest."""
    wire = tag & 7
    values = np.frombuffer(data, np.uint8, end - at, at)
    if wire == BYTES:
        tags = np.flatnonzero(values[:-1] == tag)
        sizes = values[tags + 1]
        count = _leading((sizes[:-1] < 128) & (tags[:-1] + 2 + sizes[:-1] == tags[1:]))
        if 2 * count > len(tags):
            return at + int(tags[count])
        while (run := _texts(tag).match(data, at, end)) and run.end() > at:
            at = run.end()  # the texts contain the tag's byte
        return at
    if wire in _WIDTHS:
        stride = 1 + _WIDTHS[wire]
        return at + stride * _leading(values[: len(values) // stride * stride : stride] == tag)
    pairs = values[: len(values) // 2 * 2].reshape(-1, 2)
    short = 2 * _leading((pairs[:, 0] == tag) & (pairs[:, 1] < 128))
    if 2 * short > len(values):  # most numbers have one byte: found in a fifth of the time
        return at + short
    # Of a field, only the tag and the number's last byte are less than 128: they open and close it.
    is_edge = values < 128
    is_open = np.bitwise_xor.accumulate(is_edge.view(np.uint8)).view(np.bool_)
    valid = _leading((is_open & (~is_edge | (values == tag))) | (is_edge & ~is_open))
    closes = (is_edge & ~is_open)[:valid][::-1]
    return at + valid - int(closes.argmax()) if closes.any() else at


def _leading(holds: np.ndarray) -> int:
    """Return the number of values before the first that is false."""
    return len(holds) if holds.all() else int(holds.argmin())


@cache
def _texts(tag: int) -> re.Pattern[bytes]:
    """Return an expression for consecutive fields of short texts."""
    texts = b"|".join(b"%s.{%d}" % (re.escape(bytes([size])), size) for size in range(_SHORT))
    return re.compile(b"(?:%s(?:%s)){0,%d}" % (re.escape(bytes([tag])), texts, _RUN), re.DOTALL)


def _signed(value: int) -> int:
    """Return the int64 with the bits of an unsigned number."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value
