"""Read declarations of preprocessing from TOML files."""

from __future__ import annotations

from pathlib import Path

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, parse_declaration
from edgeml.core.system.toml_file import read_toml

__all__ = ["read_declarations"]


def read_declarations(path: Path) -> dict[str, Declaration]:
    """Read declarations by input name, each a table of the file.

    Raises:
        InputError: The file does not exist, is not TOML, or holds something else.
        StorageError: The file cannot be read.

    Example:
        A file with the table ``[image]`` and in it ``kind = "image"``, ``height = 96``, ``width = 96``.
    """
    tables = read_toml(path)
    if not tables:
        raise InputError(
            f"{path.name} is empty, expected a declaration for an input.",
            fix='write a table [INPUT] with kind = "image".',
        )
    return {name: parse_declaration(table, name) for name, table in tables.items()}
