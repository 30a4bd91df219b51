"""A digest of a Python object's state, the same in every process and after the object was saved and loaded."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["state_digest"]

# The state of random generators depends on the course of training, not on the learned model.
_GENERATORS = (np.random.RandomState, np.random.Generator, np.random.BitGenerator)


def state_digest(value: object) -> str:
    """Return ``sha256:…`` over names of classes, attributes and arrays, independent of memory and order.

    Arrays count by dtype, shape and elements, dicts and sets by their sorted contents, functions and classes
    by their qualified names, all other objects by the state that `copyreg` would save.
    """
    return f"sha256:{_digest(value, ()).hex()}"


def _digest(value: Any, parents: tuple[int, ...]) -> bytes:
    if id(value) in parents:
        return b"cycle"
    sha = hashlib.sha256()
    for part in _parts(value, (*parents, id(value))):
        sha.update(len(part).to_bytes(8, "little"))  # so that no two lists of parts give the same bytes
        sha.update(part)
    return sha.digest()


def _parts(value: Any, parents: tuple[int, ...]) -> Iterator[bytes]:
    if isinstance(value, np.generic) and value.dtype.names is None:
        value = value.item()  # some formats save a numpy scalar as a Python number
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        yield from (type(value).__name__.encode(), repr(value).encode())
    elif isinstance(value, np.ndarray | memoryview):
        yield from _array_parts(np.asarray(value), parents)
    elif isinstance(value, dict):
        yield b"dict"
        yield from sorted(_digest(key, parents) + _digest(item, parents) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield b"list"
        yield from (_digest(item, parents) for item in value)
    elif isinstance(value, set | frozenset):
        yield b"set"
        yield from sorted(_digest(item, parents) for item in value)
    elif isinstance(value, type | np.ufunc | types.FunctionType | types.BuiltinFunctionType):
        yield from (b"name", _name(value))
    elif isinstance(value, _GENERATORS):
        yield b"generator"
    elif hasattr(value, "get_arrays"):  # search trees: the rest of their state counts the queries so far
        yield from (_name(type(value)), _digest(value.get_arrays(), parents))
    else:
        yield from _object_parts(value, parents)


def _array_parts(array: np.ndarray, parents: tuple[int, ...]) -> Iterator[bytes]:
    yield from (b"array", repr(array.shape).encode())
    if array.dtype.names is not None:  # field by field: the padding between fields is undefined
        for name in array.dtype.names:
            yield from (name.encode(), _digest(array[name], parents))
    elif array.dtype.hasobject:
        yield from (_digest(item, parents) for item in array.ravel().tolist())
    else:
        yield from (array.dtype.str.encode(), array.tobytes())


def _object_parts(value: Any, parents: tuple[int, ...]) -> Iterator[bytes]:
    yield _name(type(value))
    kinds = type(value).__mro__[:-1]  # without object itself
    if hasattr(value, "__dict__") and not any({"__reduce__", "__reduce_ex__"} & vars(kind).keys() for kind in kinds):
        yield _digest(vars(value), parents)  # not __getstate__, to which frameworks add their version
        return
    reduced = value.__reduce_ex__(2)
    if isinstance(reduced, str):
        yield reduced.encode()
        return
    function, arguments, state, items, entries = (*reduced, None, None, None)[:5]
    yield from (_digest(part, parents) for part in (function, arguments, state, list(items or ()), list(entries or ())))


def _name(value: Any) -> bytes:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}".encode()
