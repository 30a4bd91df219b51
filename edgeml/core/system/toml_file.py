"""TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from edgeml.core.errors import InputError
from edgeml.core.system.files import read_bytes

__all__ = ["read_toml"]

_MAX_BYTES = 2**20  # written by hand; tomllib needs fifty times as much memory


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file in UTF-8, with or without a byte-order mark.

    Raises:
        InputError: The file does not exist, is not TOML, is nested too deep, has a number that is too long, or is
            larger than 1 MB.
        StorageError: The file cannot be read.
    """
    try:
        tables = tomllib.loads(read_bytes(path, limit=_MAX_BYTES).decode("utf-8-sig"))
        _check_numbers(tables)
    except RecursionError as error:
        raise InputError(f"{path.name} cannot be read as TOML: it is nested too deep.") from error
    except ValueError as error:  # of the encoding, of TOML itself, or of a number with thousands of digits
        raise InputError(f"{path.name} cannot be read as TOML: {error}.") from error
    return tables


def _check_numbers(value: object) -> None:
    """Check that whole numbers have the 64 bits of TOML: Python does not even print one of 5,000 digits."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("a whole number has more than 64 bits")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_numbers(item)
