"""Read declarations of preprocessing from TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, checked_declaration
from edgeml.core.system.files import read_bytes

__all__ = ["read_declarations"]


def read_declarations(path: Path) -> dict[str, Declaration]:
    """Read declarations by input name, each a table of the file.

    Raises:
        InputError: The file does not exist, is not TOML, or holds something else.
        StorageError: The file cannot be read.

    Example:
        A file with the table ``[image]`` and in it ``kind = "image"``, ``height = 96``, ``width = 96``.
    """
    try:
        tables = tomllib.loads(read_bytes(path).decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path.name} cannot be read as TOML: {error}.") from error
    if not tables:
        raise InputError(
            f"{path.name} is empty, expected a declaration for an input.",
            fix='write a table [INPUT] with kind = "image".',
        )
    return {name: checked_declaration(table, name) for name, table in tables.items()}
