"""Tables from files."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import GAPS, Table
from edgeml.core.system.files import read_errors
from edgeml.core.tensors import TensorSpec

__all__ = ["TABLE_SUFFIXES", "read_table"]

TABLE_SUFFIXES = (".csv",)


def read_table(path: Path, inputs: Sequence[tuple[TensorSpec, Table]]) -> dict[str, np.ndarray]:
    """The declared columns of a CSV file, found by the names in its first line; other columns are left out.

    The file is UTF-8, with or without a byte-order mark, its fields parted by commas, its numbers with a point.
    A field of `GAPS` is a missing value.

    Args:
        path: The file.
        inputs: The inputs, and the columns that each is made of.

    Returns:
        By column ``[rows]``: float64, NaN where a number is missing; or text, "" where it is.

    Raises:
        InputError: A column is missing or there twice, a field is no number, a value is missing that the model
            needs, or there are no rows.
    """
    columns = {
        column: _Field(
            spec.dtype == "string",
            spec.missing_values is True or (spec.missing_values is not False and place in spec.missing_values),
        )
        for spec, table in inputs
        for place, column in enumerate(table.columns)
    }
    values: dict[str, list[float | str]] = {column: [] for column in columns}
    try:
        with read_errors(path), path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            places, width = _places(next(lines, []), columns, path.name)
            for line in lines:
                where = f"{path.name}, line {lines.line_num}"
                if line and len(line) != width:
                    raise InputError(
                        f"{where}: got {len(line)} fields, expected {width}.", fix="part the fields by commas alone."
                    )
                for column, place in places.items() if line else ():
                    values[column].append(columns[column].value(line[place], f"{where}, column '{column}'"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as CSV: {error}.", fix="save it as CSV in UTF-8.") from error
    if not all(values.values()):
        raise InputError(f"{path.name} has no rows.")
    return {
        column: np.array(found, np.str_ if columns[column].text else np.float64) for column, found in values.items()
    }


def _places(header: list[str], columns: Mapping[str, _Field], name: str) -> tuple[dict[str, int], int]:
    """Where each declared column is, and how many columns the file has."""
    found = [column.strip() for column in header]
    count = Counter(found)
    missing = [column for column in columns if not count[column]]
    twice = [column for column in columns if count[column] > 1]
    if missing:
        there = ", ".join(found[:20]) or "none"
        parted = next((mark for mark in (";", "\t", "|") if len(found) == 1 and mark in found[0]), None)
        raise InputError(
            f"{name}: columns are missing: {', '.join(missing[:10])}; it has {there[:200]}.",
            fix=f"part the fields by commas, not by {parted!r}." if parted else "name the columns in the first line.",
        )
    if twice:
        raise InputError(f"{name}: column '{twice[0]}' is there twice.")
    return {column: found.index(column) for column in columns}, len(found)


@dataclass(frozen=True, slots=True)
class _Field:
    """How a column's fields are read: as text or numbers, with or without gaps."""

    text: bool
    gaps: bool

    def value(self, field: str, where: str) -> float | str:
        """The number or text of a field, NaN or "" where it is missing."""
        kind = "text" if self.text else "a number"
        if field.strip() in GAPS:
            if self.gaps:
                return "" if self.text else math.nan
            told = "is empty" if not field.strip() else f"got {field!r}, which is a missing value"
            raise InputError(f"{where}: {told}, expected {kind}.")
        if self.text:
            return field
        try:
            number = float(field) if "_" not in field else math.nan  # Python's own 1_000
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"{where}: got {field[:40]!r}, expected a number.")
        return number
