"""The base of records that are written as JSON, and the one strict decoder of their files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from edgeml.core.errors import EdgemlError
from edgeml.core.system.installation import upgrade_command

__all__ = ["Record", "decode_strict"]

T = TypeVar("T")


class Record(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value that is written as JSON: strictly typed, without unknown fields, defaults left out."""


class _Head(Struct):
    format: int


def decode_strict(
    data: bytes,
    kind: type[T],
    label: str,
    *,
    error: type[EdgemlError],
    unsound: str = "",
    format_: int | None = None,
    fix: str = "",
) -> T:
    """Decode a JSON file to a record.

    Args:
        data: The JSON text.
        kind: Type of the record.
        label: Name of the file in messages.
        error: Class of the error to raise.
        unsound: What messages say of a file that is not sound; by default just that, of the label.
        format_: The one format number that is read, of files that carry one as ``format``.
        fix: Advice for a file that is older or not sound.

    Raises:
        EdgemlError: An `error`: the file has another format number, something that this edgeml does not know, or is
            not sound.
    """
    try:
        if format_ is not None:
            found = msgspec.json.decode(data, type=_Head).format
            if found != format_:
                newer = found > format_
                raise error(
                    f"{label} is of the {'newer' if newer else 'older'} format {found}; this edgeml reads format "
                    f"{format_}.",
                    fix=upgrade_command() if newer else fix,
                )
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        newer = isinstance(problem, msgspec.ValidationError) and _is_newer(data, kind)
        raise error(
            f"{unsound or f'{label} is not sound'}: {problem}.",
            fix=f"it was made by a newer edgeml: {upgrade_command()}" if newer else fix,
        ) from problem


def _is_newer(data: bytes, kind: Any) -> bool:
    """Whether a file has a field, a kind of record or a value of a closed set that this edgeml does not know."""
    from msgspec import inspect  # for errors alone

    try:
        return _unknown_within(msgspec.json.decode(data), inspect.type_info(kind))
    except (msgspec.DecodeError, RecursionError):  # it is not sound further on
        return False


def _unknown_within(value: Any, kind: Any) -> bool:
    from msgspec import inspect

    if isinstance(kind, inspect.LiteralType):
        return isinstance(value, str) and value not in kind.values
    if isinstance(kind, inspect.UnionType):
        return _unknown_in_union(value, kind.types)
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in kind.fields}
        return any(
            _unknown_within(item, fields[key]) if key in fields else key != kind.tag_field
            for key, item in value.items()
        )
    return any(_unknown_within(item, part) for item, part in _parts(value, kind))


def _parts(value: Any, kind: Any) -> Iterable[tuple[Any, Any]]:
    """What a value of a plain container holds, each with its type."""
    from msgspec import inspect

    if isinstance(kind, inspect.Metadata):
        return [(value, kind.type)]
    if isinstance(kind, inspect.DictType) and isinstance(value, dict):
        return [(item, kind.value_type) for item in value.values()]
    if isinstance(kind, inspect.TupleType) and isinstance(value, list):
        return zip(value, kind.item_types, strict=False)
    if isinstance(kind, inspect.VarTupleType | inspect.ListType) and isinstance(value, list):
        return [(item, kind.item_type) for item in value]
    return []


def _unknown_in_union(value: Any, kinds: tuple[Any, ...]) -> bool:
    """As `_unknown_within`; a struct is told by its tag, where it has one."""
    from msgspec import inspect

    structs = [kind for kind in kinds if isinstance(kind, inspect.StructType)]
    if not isinstance(value, dict) or not structs:
        return bool(kinds) and all(_unknown_within(value, kind) for kind in kinds if not _is_none(kind))
    tagged = [kind for kind in structs if kind.tag is not None]
    if tagged and value.get(tagged[0].tag_field) not in {kind.tag for kind in tagged}:
        return isinstance(value.get(tagged[0].tag_field), str)
    return any(
        _unknown_within(value, kind) for kind in structs if kind.tag is None or value.get(kind.tag_field) == kind.tag
    )


def _is_none(kind: Any) -> bool:
    from msgspec import inspect

    return isinstance(kind, inspect.NoneType)
