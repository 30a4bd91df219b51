"""Tables from files."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Table

__all__ = ["TABLE_SUFFIXES", "read_table"]

TABLE_SUFFIXES = (".csv",)


def read_table(path: Path, declaration: Table) -> np.ndarray:
    """The declared columns of a CSV file, found by the names in its first line; other columns are left out.

    The file is UTF-8, with or without a byte-order mark, its fields parted by commas, its numbers with a point.

    Returns:
        float64 ``[rows, columns]``, in the order of the declaration.

    Raises:
        InputError: A column is missing or there twice, a field is no number, or there are no rows.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            places, width = _places(next(lines, []), declaration, path.name)
            rows = [_row(line, places, width, f"{path.name}, line {lines.line_num}") for line in lines if line]
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as CSV: {error}.", fix="save it as CSV in UTF-8.") from error
    if not rows:
        raise InputError(f"{path.name} has no rows.")
    return np.array(rows)


def _places(header: list[str], declaration: Table, name: str) -> tuple[dict[str, int], int]:
    """Where each declared column is, and how many columns the file has."""
    found = [column.strip() for column in header]
    count = Counter(found)
    missing = [column for column in declaration.columns if not count[column]]
    twice = [column for column in declaration.columns if count[column] > 1]
    if missing:
        there = ", ".join(found[:20]) or "none"
        parted = next((mark for mark in (";", "\t", "|") if len(found) == 1 and mark in found[0]), None)
        raise InputError(
            f"{name}: columns are missing: {', '.join(missing[:10])}; it has {there[:200]}.",
            fix=f"part the fields by commas, not by {parted!r}." if parted else "name the columns in the first line.",
        )
    if twice:
        raise InputError(f"{name}: column '{twice[0]}' is there twice.")
    return {column: found.index(column) for column in declaration.columns}, len(found)


def _row(line: list[str], places: dict[str, int], width: int, where: str) -> list[float]:
    if len(line) != width:
        raise InputError(f"{where}: got {len(line)} fields, expected {width}.", fix="part the fields by commas alone.")
    return [_number(line[place], f"{where}, column '{column}'") for column, place in places.items()]


def _number(text: str, where: str) -> float:
    try:
        value = float(text) if "_" not in text else math.nan  # Python's own 1_000
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{where}: got {text[:40]!r}, expected a number."
            if text.strip()
            else f"{where}: is empty, expected a number."
        )
    return value
