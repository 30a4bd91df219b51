"""Strict reading of JSON: what is newer, what is older, and what is not sound."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgeml.core.errors import EdgemlError, InputError, PackageError
from edgeml.core.records.record import Record, decode_strict
from tests.support.hints import UPGRADE_HINT

FIX = "make it anew."


class Inner(Record, frozen=True):
    """The innermost part."""

    value: int


class Round(Record, frozen=True, tag_field="kind", tag="round"):
    """One kind of a part."""

    radius: float


class Flat(Record, frozen=True, tag_field="kind", tag="flat"):
    """Another kind."""

    width: float
    inner: Inner | None = None


class Outer(Record, frozen=True):
    """A record with all kinds of nesting."""

    name: str
    by_name: dict[str, Inner] = msgspec.field(default_factory=dict)
    several: tuple[Inner, ...] = ()
    listed: list[list[Inner]] = msgspec.field(default_factory=list)
    shape: Round | Flat | None = None


class Numbered(Record, frozen=True):
    """A file with a format number."""

    format: int
    name: str = ""


def refusal(data: bytes, kind: type[Any] = Outer, **given: Any) -> EdgemlError:
    with pytest.raises(PackageError) as caught:
        decode_strict(data, kind, "the file", error=PackageError, fix=FIX, **given)
    return caught.value


def test_records_come_back_and_leave_defaults_out() -> None:
    for record, text in (
        (Outer("a"), b'{"name":"a"}'),
        (
            Outer("a", shape=Flat(1.5, Inner(3))),
            b'{"name":"a","shape":{"kind":"flat","width":1.5,"inner":{"value":3}}}',
        ),
        (Outer("a", {"b": Inner(1)}, (Inner(2),)), b'{"name":"a","by_name":{"b":{"value":1}},"several":[{"value":2}]}'),
    ):
        assert msgspec.json.encode(record) == text
        assert decode_strict(text, Outer, "the file", error=PackageError) == record


def test_records_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Inner(1).value = 2  # type: ignore[misc]


@pytest.mark.parametrize("error", [InputError, PackageError])
def test_the_error_is_of_the_class_that_the_caller_names(error: type[EdgemlError]) -> None:
    with pytest.raises(EdgemlError) as caught:
        decode_strict(b"", Outer, "the file", error=error)
    assert type(caught.value) is error
    assert caught.value.fix == ""


# Format numbers


def test_the_format_that_is_read() -> None:
    found = decode_strict(b'{"format": 3, "name": "a"}', Numbered, "the file", error=PackageError, format_=3)
    assert found == Numbered(3, "a")


@pytest.mark.parametrize(
    ("number", "age", "fix"),
    [(4, "newer", UPGRADE_HINT), (900, "newer", UPGRADE_HINT), (2, "older", FIX), (-1, "older", FIX)],
)
def test_another_format_number(number: int, age: str, fix: str) -> None:
    error = refusal(b'{"format": %d, "what": {"nobody": ["knows"]}}' % number, Numbered, format_=3)
    assert error.message == f"the file is of the {age} format {number}; this edgeml reads format 3."
    assert error.fix == fix


@pytest.mark.parametrize("data", [b"{}", b'{"format": "3"}', b'{"format": 3.5}', b'{"format": null}', b"[3]", b"3"])
def test_a_format_number_that_is_none(data: bytes) -> None:
    error = refusal(data, Numbered, format_=3)
    assert "the file is not sound" in error.message
    assert error.fix == FIX


# Unknown fields


@pytest.mark.parametrize(
    "data",
    [
        b'{"name": "a", "later": 1}',
        b'{"later": {"deep": []}, "name": "a"}',
        b'{"name": "a", "by_name": {"b": {"value": 1, "later": 2}}}',
        b'{"name": "a", "several": [{"value": 1}, {"value": 2, "later": 3}]}',
        b'{"name": "a", "listed": [[], [{"value": 1}, {"value": 2, "later": 3}]]}',
        b'{"name": "a", "shape": {"kind": "round", "radius": 1.0, "later": 2}}',
        b'{"name": "a", "shape": {"kind": "flat", "width": 1.0, "inner": {"value": 1, "later": 2}}}',
        b'{"name": "a", "shape": {"later": 2, "kind": "flat", "width": 1.0}}',
    ],
)
def test_an_unknown_field_tells_of_a_newer_version_however_deep_it_is(data: bytes) -> None:
    error = refusal(data)
    assert error.message.startswith("the file is not sound: ")
    assert "later" in error.message
    assert UPGRADE_HINT in error.fix
    assert "newer edgeml" in error.fix
    assert isinstance(error.__cause__, msgspec.ValidationError)


def test_a_field_of_another_kind_of_a_union_is_unknown() -> None:
    assert UPGRADE_HINT in refusal(b'{"name": "a", "shape": {"kind": "round", "radius": 1.0, "width": 1.0}}').fix


# What is not sound


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'{"name": 3}', "$.name"),
        (b"{}", "`name`"),
        (b"[]", "object"),
        (b'{"name": "a", "by_name": {"b": {"value": "1"}}}', "$.by_name[...].value"),
        (b'{"name": "a", "several": [{"value": 1}, {"value": 1.5}]}', "$.several[1].value"),
        (b'{"name": "a", "several": [{}]}', "$.several[0]"),
        (b'{"name": "a", "several": {}}', "$.several"),
        (b'{"name": "a", "shape": {"kind": "round"}}', "$.shape"),
        (b'{"name": "a", "shape": {"radius": 1.0}}', "$.shape"),
        (b'{"name": "a", "shape": 3}', "$.shape"),
    ],
)
def test_wrong_types_and_missing_fields_are_told_with_their_place(data: bytes, place: str) -> None:
    error = refusal(data)
    assert error.message.startswith("the file is not sound: ")
    assert place in error.message
    assert error.fix == FIX


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no JSON",
        b'{"name": "a"',
        b'{"name": "a"}}',
        b'{"name": "a", }',
        b'{"name": NaN}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf" + b'{"name": "a"}',
    ],
)
def test_what_is_no_json(data: bytes) -> None:
    error = refusal(data)
    assert error.message.startswith("the file is not sound: ")
    assert error.fix == FIX


@pytest.mark.parametrize("kind", [Outer, Numbered])
@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"name": ' + b"[" * 100_000, b'{"a":' * 100_000])
def test_deep_nesting_is_refused(data: bytes, kind: type[Any]) -> None:
    error = refusal(data, kind, format_=3 if kind is Numbered else None)
    assert error.message.startswith("the file is not sound: ")
    assert error.fix == FIX


def test_an_unknown_field_before_what_is_no_json_tells_of_no_newer_version() -> None:
    for rest in (b"", b"[" * 100_000, b"NaN}"):
        assert refusal(b'{"name": "a", "later": ' + rest).fix == FIX


def test_the_caller_words_what_is_not_sound() -> None:
    error = refusal(b"{}", unsound="x.edgeml: the manifest is damaged")
    assert error.message.startswith("x.edgeml: the manifest is damaged: ")
