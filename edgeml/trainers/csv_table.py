"""Tables to learn from, out of CSV files."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import GAPS
from edgeml.core.system.files import read_errors
from edgeml.trainers.result import ColumnKind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CsvTable", "read_csv_table"]

# From this share of its fields on, a column was meant to hold numbers, and the rest are mistakes.
_MOSTLY = 0.5
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+(\.\d{3})*,\d+\s*")
_EXPORTED_WITH = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True, slots=True)
class CsvTable:
    """What a CSV file holds.

    Attributes:
        inputs: The columns to learn from; numbers are float64, text is objects, gaps are NaN.
        target: float64 or text ``[rows]``; None without a target.
        remarks: What is odd about it.
    """

    inputs: pd.DataFrame
    target: np.ndarray | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as it lies in the file."""

    name: str
    fields: list[str]
    lines: list[int]
    file: str

    def where(self, row: int) -> str:
        return f"{self.file}, line {self.lines[row]}, column '{self.name}'"


def read_csv_table(
    path: Path,
    *,
    target: str = "",
    columns: Sequence[str] = (),
    text: Sequence[str] = (),
    kinds: dict[str, ColumnKind] | None = None,
) -> CsvTable:
    """Reads a CSV file: UTF-8, with or without a byte-order mark, fields parted by commas, names in the first line.

    A column whose fields are all numbers or gaps is one of numbers; one in which most are not is one of text.

    Args:
        path: The file.
        target: Name of the column to predict; empty for none.
        columns: The columns to learn from; by default all but the target.
        text: Columns that are text in any case.
        kinds: What each column is, where it is known already; then nothing is found out.

    Raises:
        InputError: A column is missing or there twice, is neither numbers nor text, or has nothing in it; a line
            has more or fewer fields than the first; the target has gaps; there are no rows.
    """
    import pandas as pd

    header, rows, lines = _read(path)
    wanted = list(columns) or [name for name in header if name != target]
    _check_names(header, wanted, target, text, path.name)
    fixed: dict[str, ColumnKind] = {**dict.fromkeys(text, "text"), **(kinds or {})}
    remarks: list[str] = []

    def column(name: str) -> np.ndarray:
        place = header.index(name)
        found = _Column(name, [row[place] for row in rows], lines, path.name)
        kind = fixed.get(name) or _kind(found)
        return _numbers(found) if kind == "numbers" else _texts(found, remarks if name != target else [])

    series = {name: pd.Series(values := column(name), dtype=values.dtype) for name in wanted}
    truth = None
    if target:
        truth = column(target)
        gap = next((i for i, value in enumerate(truth) if value != value), None)  # noqa: PLR0124  # NaN alone
        if gap is not None:
            raise InputError(
                f"{path.name}, line {lines[gap]}, column '{target}': the target is missing.",
                fix="take rows without a target out of the file.",
            )
        truth = truth if truth.dtype != object else truth.astype(str)
    return CsvTable(pd.DataFrame(series), truth, tuple(remarks))


def _read(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """The names of the columns, the rows, and the line that each row ends in."""
    try:
        with read_errors(path), path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows, lines = [], []
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"{path.name}, line {reader.line_num}: got {len(row)} fields, expected {len(header)} as in the "
                        "first line.",
                        fix="part the fields by commas alone, and quote fields that have one.",
                    )
                rows.append(row)
                lines.append(reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as CSV: {error}.", fix="save it as CSV in UTF-8.") from error
    if not header:
        raise InputError(f"{path.name} is empty.", fix="write the columns' names into its first line.")
    mark = next((mark for mark in _EXPORTED_WITH if len(header) == 1 and mark in header[0]), None)
    if mark is not None:
        raise InputError(
            f"{path.name}: the first line has no commas, but {_EXPORTED_WITH[mark]}.",
            fix="save it with fields parted by commas, and numbers with a point.",
        )
    if not rows:
        raise InputError(f"{path.name} has no rows below the columns' names.")
    return header, rows, lines


def _check_names(header: list[str], wanted: list[str], target: str, text: Sequence[str], file: str) -> None:
    count = Counter(header)
    there = ", ".join(header[:20])[:200]
    for name in [*([target] if target else []), *wanted, *text]:
        if not name:
            raise InputError(
                f"{file}: column {header.index('') + 1} has no name.",
                fix="name it in the first line, or name the columns to learn from in data.columns.",
            )
        if not count[name]:
            raise InputError(f"{file}: there is no column '{name}'; it has {there}.")
        if count[name] > 1:
            raise InputError(f"{file}: column '{name}' is there twice.", fix="give each column a name of its own.")
    if len(set(wanted)) != len(wanted) or target in wanted:
        raise InputError(f"{file}: data.columns names a column twice, or the target.")
    if not wanted:
        raise InputError(f"{file} has no column but the target '{target}'.")
    stray = [name for name in text if name not in {*wanted, target}]
    if stray:
        raise InputError(f"{file}: data.text names '{stray[0]}', which is not learnt from.")


def _number(field: str) -> float | None:
    """The number in a field; None where it is none. ``1_000`` is Python's, not CSV's."""
    try:
        value = float(field) if "_" not in field else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _kind(column: _Column) -> ColumnKind:
    filled = [(i, field) for i, field in enumerate(column.fields) if field not in GAPS]
    if not filled:
        raise InputError(
            f"{column.file}: column '{column.name}' has nothing but gaps.",
            fix="name the columns to learn from in data.columns, without it.",
        )
    odd = [(i, field) for i, field in filled if _number(field) is None]
    if not odd:
        return "numbers"
    commas = [(i, field) for i, field in odd if _DECIMAL_COMMA.fullmatch(field)]
    fix = f"leave it empty where it is missing, or say data.text = ['{column.name}'] to take the column as text."
    if len(commas) > _MOSTLY * len(filled):
        row, field = commas[0]
        raise InputError(
            f"{column.where(row)}: got {field[:40]!r}, expected a number with a point, and no commas in it.",
            fix=f"write numbers so; {fix}",
        )
    if len(odd) <= _MOSTLY * len(filled):
        row, field = odd[0]
        raise InputError(
            f"{column.where(row)}: got {field[:40]!r}, expected a number, as {len(filled) - len(odd)} other rows have.",
            fix=f"mend it; {fix}",
        )
    return "text"


def _numbers(column: _Column) -> np.ndarray:
    values = np.empty(len(column.fields), np.float64)
    for row, field in enumerate(column.fields):
        number = math.nan if field in GAPS else _number(field)
        if number is None:
            raise InputError(f"{column.where(row)}: got {field[:40]!r}, expected a number.")
        values[row] = number
    return values


def _texts(column: _Column, remarks: list[str]) -> np.ndarray:
    values = np.array([math.nan if field in GAPS else field for field in column.fields], dtype=object)
    different = len({value for value in values if isinstance(value, str)})
    if different > _MOSTLY * len(values):
        remarks.append(
            f"column '{column.name}' has {different} different texts in {len(values)} rows: little is learnt from it"
        )
    return values
