from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest

from edgeml.core.errors import PackageError
from edgeml.package.npy import decode_array, encode_array

DTYPES = ["<f2", "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "|b1"]


def some(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    raw = np.random.default_rng(0).integers(0, 2 if dtype == "|b1" else 256, (*shape, np.dtype(dtype).itemsize))
    return raw.astype(np.uint8).view(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (16,), (16, 10), (2, 3, 4, 5), (1,) * 32])
def test_equals_numpys_own_reader_and_writer(dtype: str, shape: tuple[int, ...]) -> None:
    array = some(dtype, shape)
    data = encode_array(array)
    buffer = io.BytesIO()
    np.save(buffer, array)
    assert data == buffer.getvalue()
    for found in (decode_array(data, "x"), np.load(io.BytesIO(data))):
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert found.tobytes() == array.tobytes()
    assert encode_array(decode_array(data, "x")) == data


@pytest.mark.parametrize("texts", [["a", "bcd"], ["ä€😀", ""], ["x" * 300]])
def test_text(texts: list[str]) -> None:
    data = encode_array(np.array(texts))
    assert decode_array(data, "x").tolist() == texts == np.load(io.BytesIO(data)).tolist()


@pytest.mark.parametrize("array", [np.arange(12.0).reshape(3, 4).T, np.arange(10)[::-3], np.ones((2, 2), order="F")])
def test_layout_in_memory_does_not_matter(array: np.ndarray) -> None:
    assert encode_array(array) == encode_array(np.ascontiguousarray(array))
    np.testing.assert_array_equal(decode_array(encode_array(array), "x"), array)


def test_objects_are_never_written() -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        encode_array(np.array([{}, None], dtype=object))


def file_of(header: str | bytes, body: bytes = b"", *, version: bytes = b"\1\0", length: int | None = None) -> bytes:
    text = header.encode("latin-1") if isinstance(header, str) else header
    return b"\x93NUMPY" + version + struct.pack("<H", len(text) if length is None else length) + text + body


def header_of(descr: object = "<f4", fortran: object = False, shape: object = (1,)) -> str:
    return f"{{'descr': {descr!r}, 'fortran_order': {fortran!r}, 'shape': {shape!r}, }}\n"


def test_the_plain_form_is_read() -> None:
    assert decode_array(file_of(header_of(), struct.pack("<f", 2.5)), "x").tolist() == [2.5]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"PK\3\4" + bytes(100),
        file_of(header_of(), bytes(3)),
        file_of(header_of(), bytes(5)),
        file_of(header_of(shape=(10**12,)), bytes(4)),
        file_of(header_of(shape=(10**12, 0))),
        file_of(header_of(shape=(0,))),
        file_of(header_of(shape=(2**62, 4))),
        file_of(header_of(shape=(2**32, 2**32))),
        file_of(header_of(shape=(10**30,)), bytes(4)),
        file_of(header_of(shape=(-1,)), bytes(4)),
        file_of(header_of(shape=(-1, -1)), bytes(4)),
        file_of(header_of(shape=(1,) * 33), bytes(4)),
        file_of(header_of(shape=(True,)), bytes(4)),
        file_of(header_of(shape=[1]), bytes(4)),
        file_of(header_of(shape=1.0), bytes(4)),
        file_of(header_of(fortran=True), bytes(4)),
        file_of(header_of("|O"), b"\x80\x04N."),
        file_of(header_of("O"), b"\x80\x04N."),
        file_of(header_of(">f4"), bytes(4)),
        file_of(header_of("<f3"), bytes(3)),
        file_of(header_of("<c8"), bytes(8)),
        file_of(header_of("<M8[s]"), bytes(8)),
        file_of(header_of("|V4"), bytes(4)),
        file_of(header_of("|S4"), bytes(4)),
        file_of(header_of("<U0")),
        file_of(header_of("<U1"), b"\0\0\x11\0"),  # behind the last code point
        file_of(header_of("<U1"), b"\xff\xff\xff\xff"),
        file_of(header_of([("a", "<f4")]), bytes(4)),
        file_of(header_of(()), bytes(4)),
        file_of(header_of("<f4").replace("(1,)", "(1L,)"), bytes(4)),
        file_of(header_of().replace("'shape'", "'shapes'"), bytes(4)),
        file_of(header_of().replace("'descr'", "'x': 1, 'descr'"), bytes(4)),
        file_of("((((\n"),
        file_of('"""\n'),
        file_of("-" * 60_000 + "1\n"),
        file_of("[" * 60_000 + "\n"),
        file_of("{[]: 1}\n"),
        file_of("__import__('os').abort()\n"),
        file_of(header_of(), bytes(4), version=b"\2\0"),
        file_of(header_of(), bytes(4), version=b"\3\0"),
        file_of(header_of(), bytes(4), length=10),
        file_of(header_of(), bytes(4), length=60_000),
        file_of(header_of().rstrip() + "\t\n", bytes(4)),
    ],
    ids=lambda data: repr(data[:70]),
)
def test_what_is_no_such_array_is_refused(data: bytes) -> None:
    with pytest.raises(PackageError, match=r"^golden/x\.npy"):
        decode_array(data, "golden/x.npy")


def test_a_pickle_in_an_array_is_not_run() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(PackageError):
        decode_array(buffer.getvalue(), "x")
    assert not Bomb.burst
    with pytest.raises(RuntimeError, match="burst"):  # it would have
        np.load(io.BytesIO(buffer.getvalue()), allow_pickle=True)


def burst() -> None:
    Bomb.burst = True
    raise RuntimeError("burst")


class Bomb:
    burst = False

    def __reduce__(self) -> tuple[Any, ...]:
        return burst, ()
