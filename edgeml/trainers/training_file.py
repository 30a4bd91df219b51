"""Read training files: TOML to a `Training`, with every key checked."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct

from edgeml.core.errors import InputError
from edgeml.core.system.paths import checked_path
from edgeml.core.system.toml_file import read_toml
from edgeml.trainers.training_schema import Training

__all__ = ["convert_training", "read_training"]


def read_training(path: str | os.PathLike[str]) -> Training:
    """Read a training file. Paths in it are relative to its folder.

    Raises:
        InputError: The file does not exist, is not TOML, or has an unknown key or a value of another type.
        StorageError: The file cannot be read.

    Example:
        ::

            [data]
            kind = "csv"
            path = "houses.csv"
            target = "price"

            [model]
            kind = "sklearn"
            estimator = "HistGradientBoostingRegressor"
    """
    path = Path(checked_path(path, "training"))
    return convert_training(read_toml(path), path.parent, path.name)


def convert_training(tables: Mapping[str, Any], folder: Path, name: str = "training") -> Training:
    """Convert the tables of a training file to a `Training`.

    Args:
        tables: The tables, as `tomllib` reads them.
        folder: Folder that relative paths start at.
        name: Name of the tables in messages.

    Raises:
        InputError: A key or value is not expected.
    """
    folder = folder.absolute()

    def decode_path(kind: type, value: Any) -> Any:
        if kind is Path and isinstance(value, str | os.PathLike):
            return folder / checked_path(value, name)
        raise TypeError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")

    _check_keys(tables, Training, "", name)
    try:
        return msgspec.convert(tables, type=Training, dec_hook=decode_path)
    except InputError as error:  # raised by Training and Goal themselves
        raise InputError(f"{name}: {error.message}", fix=error.fix) from error
    except (msgspec.ValidationError, TypeError) as error:
        reason, _, place = str(error).partition(" - at `$")
        where = place.strip("`.") or "the file"
        raise InputError(f"{name}, {where}: {reason}.") from error


def _check_keys(table: Any, kind: Any, place: str, file: str) -> None:
    """Refuse unknown keys and kinds, and list the known ones; msgspec's message has only the unknown one."""
    if not isinstance(table, dict):
        return
    structs = {_tag(struct): struct for struct in _structs(kind)}
    if len(structs) > 1:
        if table.get("kind") not in structs:
            raise InputError(
                f"{file}, {place}: got kind = {table.get('kind')!r}, expected one of "
                f"{', '.join(sorted(map(repr, structs)))}."
            )
        known = structs[table["kind"]]
    elif structs:
        (known,) = structs.values()
    else:
        return
    hints = typing.get_type_hints(known)
    allowed = [*(["kind"] if _tag(known) else []), *known.__struct_fields__]
    for key, value in table.items():
        if key not in allowed:
            raise InputError(
                f"{file}, {place or 'the file'}: unknown key '{key}'.",
                fix=f"the keys are {', '.join(allowed)}.",
            )
        if key != "kind":
            _check_keys(value, hints[key], f"{place}.{key}".lstrip("."), file)


def _structs(kind: Any) -> list[Any]:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return [struct for part in get_args(kind) for struct in _structs(part)]
    return [kind] if isinstance(kind, type) and issubclass(kind, Struct) else []


def _tag(kind: Any) -> Any:
    return kind.__struct_config__.tag
