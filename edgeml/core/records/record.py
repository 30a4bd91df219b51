"""Base class of records that are stored as JSON, and the strict decoder of their files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from edgeml.core.errors import EdgemlError, InputError

__all__ = ["Record", "decode_strict"]

T = TypeVar("T")

_MAX_SEARCHED_BYTES = 2**20  # dictionaries and lists take twenty times the memory of their text


class Record(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value that is stored as JSON: strictly typed, without unknown fields, and without default values."""


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
    """Decode a JSON file into a record.

    Args:
        data: The JSON text.
        kind: Type of the record.
        label: Name of the file in messages.
        error: Exception type to raise.
        unsound: Beginning of messages about invalid files; by default ``{label} is not sound``.
        format_: The supported format number, for files with the field ``format``.
        fix: Advice for older and invalid files.

    Raises:
        EdgemlError: An `error`: the file has another format number, contains fields or values of a newer version, or is
            invalid.
    """
    try:
        if format_ is not None:
            file_format = msgspec.json.decode(data, type=_Head).format
            if file_format != format_:
                newer = file_format > format_
                raise error(
                    f"{label} is of the {'newer' if newer else 'older'} format {file_format}; this edgeml reads format "
                    f"{format_}.",
                    fix=_upgrade() if newer else fix,
                )
        return msgspec.json.decode(data, type=kind)
    except InputError as problem:  # of a value that is checked as it is made, such as a goal
        raise error(f"{unsound or f'{label} is not sound'}: {problem.message}", fix=fix) from problem
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        newer = isinstance(problem, msgspec.ValidationError) and _has_unknown_parts(data, kind)
        raise error(
            f"{unsound or f'{label} is not sound'}: {problem}.",
            fix=f"it was made by a newer edgeml: {_upgrade()}" if newer else fix,
        ) from problem


def _upgrade() -> str:
    """Return the command that installs a newer edgeml, for errors alone."""
    from edgeml.core.system.installation import upgrade_command

    return upgrade_command()


def _has_unknown_parts(data: bytes, kind: Any) -> bool:
    """Test whether a file has a field, a record type or an enumerated value that this version does not know."""
    from msgspec import inspect  # only imported for errors

    if len(data) > _MAX_SEARCHED_BYTES:
        return False
    try:
        return _has_unknown(msgspec.json.decode(data), inspect.type_info(kind))
    except (msgspec.DecodeError, RecursionError):  # invalid in another place
        return False


def _has_unknown(value: Any, kind: Any) -> bool:
    from msgspec import inspect

    if isinstance(kind, inspect.LiteralType):
        return isinstance(value, str) and value not in kind.values
    if isinstance(kind, inspect.UnionType):
        return _union_has_unknown(value, kind.types)
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in kind.fields}
        return any(
            _has_unknown(item, fields[key]) if key in fields else key != kind.tag_field for key, item in value.items()
        )
    return any(_has_unknown(item, part) for item, part in _parts(value, kind))


def _parts(value: Any, kind: Any) -> Iterable[tuple[Any, Any]]:
    """Return the items of a container, each with its type."""
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


def _union_has_unknown(value: Any, kinds: tuple[Any, ...]) -> bool:
    """Test a value of a union, in which structs are identified by their tags."""
    from msgspec import inspect

    structs = [kind for kind in kinds if isinstance(kind, inspect.StructType)]
    if not isinstance(value, dict) or not structs:
        return bool(kinds) and all(_has_unknown(value, kind) for kind in kinds if not _is_none(kind))
    tagged = [kind for kind in structs if kind.tag is not None]
    tag = value.get(tagged[0].tag_field) if tagged else None
    if tagged and not any(tag == kind.tag for kind in tagged):
        return isinstance(tag, str)
    return any(
        _has_unknown(value, kind) for kind in structs if kind.tag is None or value.get(kind.tag_field) == kind.tag
    )


def _is_none(kind: Any) -> bool:
    from msgspec import inspect

    return isinstance(kind, inspect.NoneType)
