"""Check of FlexBuffers, in which custom TFLite operators keep their options.

The layout: https://flatbuffers.dev/internals, "FlexBuffers". The root's type and width are the last two bytes.
"""

from __future__ import annotations

__all__ = ["is_flat_map"]

_INLINE = {0, 1, 2, 3, 26}  # null, integers, float, bool
_MAP = 9
_MAX_BYTES = 2**16


def is_flat_map(data: bytes) -> bool:
    """Return whether a FlexBuffer is a map from names to numbers, all within the data."""
    if not 3 <= len(data) <= _MAX_BYTES or data[-1] not in {1, 2, 4, 8} or data[-2] >> 2 != _MAP:
        return False
    width = 1 << (data[-2] & 3)  # of the map's elements
    root = len(data) - 2 - data[-1]
    values = root - _number(data, root, data[-1])
    if root < 0 or values < 3 * width or values > root:
        return False
    count = _number(data, values - width, width)
    keys_width = _number(data, values - 2 * width, width)
    keys = values - 3 * width - _number(data, values - 3 * width, width)
    if keys_width not in {1, 2, 4, 8} or keys < keys_width or values + count * (width + 1) > root:
        return False
    if _number(data, keys - keys_width, keys_width) != count or keys + count * keys_width > root:
        return False
    for i in range(count):
        place = keys + i * keys_width
        name = place - _number(data, place, keys_width)
        if not 0 <= name < place or b"\0" not in data[name:root]:
            return False
    return all(data[values + count * width + i] >> 2 in _INLINE for i in range(count))


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")
