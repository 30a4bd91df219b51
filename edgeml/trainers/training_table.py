"""Training tables from CSV files: features as a data frame, and the target."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.texts import check_padding, text_array
from edgeml.preprocessing.csv_table import (
    CsvColumn,
    CsvTable,
    check_separator,
    is_boolean,
    is_code,
    is_missing,
    number_of,
    read_csv,
)
from edgeml.trainers.result import ColumnKind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TrainingTable", "read_training_table"]

# A column holds numbers if more than this share of its fields are numbers; the others are then mistakes.
_MAJORITY = 0.5
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+(\.\d{3})*,\d+\s*")


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """The content of a CSV file to train on.

    Attributes:
        inputs: The features; numbers are float64, text is objects, missing values are NaN.
        target: float64 or text ``[rows]``; None without a target.
        remarks: Peculiarities of the data.
    """

    inputs: pd.DataFrame
    target: np.ndarray | None
    remarks: tuple[str, ...]


def read_training_table(
    path: Path,
    *,
    target: str = "",
    columns: Sequence[str] = (),
    drop: Sequence[str] = (),
    text: Sequence[str] = (),
) -> TrainingTable:
    """Read a CSV file to train on.

    A column whose fields are all numbers, or all ``True`` or ``False``, or missing is a column of numbers. Digits with
    a leading zero are text, and so is a column in which most fields are not numbers.

    Args:
        path: The file.
        target: Name of the column to predict; empty for none.
        columns: The features; by default all columns but the target and the dropped ones.
        drop: Columns that are not features.
        text: Columns that are text in any case. Of their fields only empty ones are missing values.

    Raises:
        InputError: A column is missing or there twice, is neither numbers nor text, or is empty; the target has
            missing values; the names contradict each other; or the file is not CSV.
        StorageError: The file cannot be read.
    """
    import pandas as pd

    table = read_csv(path)
    check_separator(table)
    remarks: list[str] = []
    dropped = {column.name for column in table.select(drop, what="data.drop: ")}
    targets = table.select([target], what="data.target: ") if target else []
    features = table.select(
        list(columns) or [name for name in table.names if name not in {*dropped, *(c.name for c in targets)}],
        what="data.columns: ",
    )
    stated = {column.name for column in table.select(text, what="data.text: ")}
    _check_names(table, [c.name for c in features], [c.name for c in targets], dropped, stated)
    series = {}
    for column in features:
        values = _feature(column, text=column.name in stated, remarks=remarks)
        series[column.name] = pd.Series(values, dtype=values.dtype)
    truth = _target(targets[0], text=targets[0].name in stated) if targets else None
    return TrainingTable(pd.DataFrame(series), truth, tuple(remarks))


def _check_names(table: CsvTable, features: list[str], targets: list[str], dropped: set[str], text: set[str]) -> None:
    file = table.file
    unnamed = {name for name, header in zip(table.names, table.header, strict=True) if not header.strip()}
    for name in features:
        if name in unnamed:
            raise InputError(
                f"{file}: column {table.names.index(name) + 1} does not have a name.",
                fix=f"name it in the first line, or leave it out: data.drop = ['{name}'].",
            )
        if features.count(name) > 1:
            raise InputError(f"{file}: data.columns names '{name}' twice.")
        if name in targets:
            raise InputError(f"{file}: data.columns names the target '{name}'.")
        if name in dropped:
            raise InputError(f"{file}: '{name}' is in data.columns and in data.drop.", fix="name it in one of them.")
    for name in targets:
        if name in dropped:
            raise InputError(f"{file}: data.drop names the target '{name}'.", fix="name features alone.")
    if not features:
        raise InputError(f"{file}: expected at least one column beside the target and the dropped columns.")
    unused = sorted(text.difference(features, targets))
    if unused:
        raise InputError(f"{file}: data.text names '{unused[0]}', which is neither a feature nor the target.")


def _feature(column: CsvColumn, *, text: bool, remarks: list[str]) -> np.ndarray:
    """Convert a column to float64, or to objects with NaN where a text is missing."""
    kind: ColumnKind = "text" if text else _kind(column)
    if kind == "numbers":
        return column.numbers(missing=True)
    check_padding(column.fields, f"{column.file}, column '{column.name}'")
    missing = [not field if text else is_missing(field) for field in column.fields]
    spelled = [field for field, absent in zip(column.fields, missing, strict=True) if absent and field.strip()]
    if spelled:
        remarks.append(
            f"column '{column.name}': {len(spelled)} fields such as '{spelled[0].strip()}' count as missing values; "
            f"data.text = ['{column.name}'] keeps them as text"
        )
    if not text and any(map(is_code, column.fields)):
        remarks.append(f"column '{column.name}' has digits with leading zeros, and counts as text")
    values = np.array(
        [math.nan if absent else field for field, absent in zip(column.fields, missing, strict=True)], dtype=object
    )
    different = len({value for value in values if isinstance(value, str)})
    if different > _MAJORITY * len(values):
        remarks.append(
            f"column '{column.name}' has {different} different texts in {len(values)} rows: a model learns little "
            "from it"
        )
    return values


def _target(column: CsvColumn, *, text: bool) -> np.ndarray:
    """Convert the target to float64 or text. Truth values are labels, and stay text."""
    for row, field in enumerate(column.fields):
        if not field.strip() if text else is_missing(field):
            raise InputError(
                f"{column.place(row)}: the target is missing.", fix="remove rows without a target from the file."
            )
    if text or _kind(column, booleans=False) == "text":
        return text_array(column.fields, f"{column.file}, column '{column.name}'")
    return column.numbers()


def _kind(column: CsvColumn, *, booleans: bool = True) -> ColumnKind:
    """Infer what a column holds.

    Raises:
        InputError: All fields are missing, or some are numbers and others are not.
    """
    filled = [(row, field) for row, field in enumerate(column.fields) if not is_missing(field)]
    if not filled:
        raise InputError(
            f"{column.file}: column '{column.name}' has nothing but missing values.",
            fix=f"leave it out: data.drop = ['{column.name}'].",
        )
    if any(is_code(field) for _, field in filled) and all(field.isdecimal() for _, field in filled):
        return "text"
    odd = [(row, field) for row, field in filled if number_of(field) is None or (not booleans and is_boolean(field))]
    if not odd:
        return "numbers"
    commas = [(row, field) for row, field in odd if _DECIMAL_COMMA.fullmatch(field)]
    fix = f"leave it empty where it is missing, or say data.text = ['{column.name}'] to read the column as text."
    if len(commas) > _MAJORITY * len(filled):
        row, field = commas[0]
        raise InputError(
            f"{column.place(row)}: got {field[:40]!r}, expected a number with a decimal point and without commas.",
            fix=f"write numbers as in 1234.5; {fix}",
        )
    if len(odd) <= _MAJORITY * len(filled):
        row, field = odd[0]
        raise InputError(
            f"{column.place(row)}: got {field[:40]!r}, expected a number, as {len(filled) - len(odd)} other rows have.",
            fix=f"correct it; {fix}",
        )
    return "text"
