"""Files of predictions: CSV for people and spreadsheets, ``.npz`` for NumPy."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.tensors import Label
from edgeml.preprocessing.csv_table import read_csv

__all__ = ["SUFFIXES", "encode_csv", "read_id_columns"]

SUFFIXES = (".csv", ".npz")
"""Endings of files that predictions can be written to."""

_SCORE, _OUTPUT = "score_", "output_"
# OWASP, "CSV Injection": spreadsheets run a cell that begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)


def encode_csv(
    arrays: Mapping[str, np.ndarray],
    *,
    scores: str = "",
    classes: Sequence[Label] = (),
    id_columns: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """Encode predictions as CSV, one line per sample: id columns, labels, then scores and other outputs.

    Scores of a classifier are in columns named after its classes: one per class, or for a model with a single score
    one named after the class that a high score stands for. If such a name is that of another column, the columns of
    all classes begin with ``score_``. Other arrays have a column each, or one per value of a sample: ``name_0``,
    ``name_1``, … Text that a spreadsheet would run as a formula gets an apostrophe in front; numbers are left alone.

    Args:
        arrays: Arrays ``[samples, ...]`` by name; ``labels`` comes first.
        scores: Name of the array that holds the scores of the classes; empty without one.
        classes: The classifier's labels, in the order of the scores.
        id_columns: Fields of the input table to copy, by column.

    Returns:
        The file in UTF-8.
    """
    columns: dict[str, Sequence[object]] = {name: list(fields) for name, fields in (id_columns or {}).items()}
    plain = arrays.get("labels")
    if plain is not None and plain.ndim == 1:
        columns["labels"] = plain.tolist()
    elif plain is not None:  # of several labels a column for each
        columns |= _class_columns("labels", plain, [f"is_{label}" for label in classes], set(columns))
    outputs = {name: array for name, array in arrays.items() if name not in {"labels", scores}}
    other = dict(pair for name, array in outputs.items() for pair in _value_columns(name, array))
    if scores:
        columns |= _class_columns(scores, arrays[scores], classes, {*columns, *other})
    for name, column in other.items():
        columns[f"{_OUTPUT}{name}" if name in columns else name] = column
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(map(_escape_formula, columns))
    lines.writerows(zip(*(map(_escape_formula, column) for column in columns.values()), strict=True))
    return text.getvalue().encode()


def _class_columns(
    name: str, scores: np.ndarray, classes: Sequence[Label], used_names: set[str]
) -> dict[str, Sequence[object]]:
    """Return the scores by class; by position where they are not one per class."""
    rows = _rows(scores)
    titles = [str(label) for label in (classes[1:] if len(classes) == 2 and rows.shape[1] == 1 else classes)]
    if len(titles) != rows.shape[1] or len(set(titles)) < len(titles):
        return dict(_value_columns(name, scores))
    while used_names & set(titles):
        titles = [f"{_SCORE}{title}" for title in titles]
    return {title: rows[:, i].tolist() for i, title in enumerate(titles)}


def _value_columns(name: str, array: np.ndarray) -> Iterator[tuple[str, Sequence[object]]]:
    """Yield a column for an array ``[samples]``, or one for each of a sample's values."""
    rows = _rows(array)
    for i in range(rows.shape[1]):
        yield name if array.ndim == 1 else f"{name}_{i}", rows[:, i].tolist()


def _rows(array: np.ndarray) -> np.ndarray:
    """Return an array as ``[samples, values]``, also of zero samples."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


def _escape_formula(field: object) -> object:
    if isinstance(field, str) and field.startswith(_FORMULA) and not _NUMBER.match(field):
        return f"'{field}"
    return field


def read_id_columns(path: Path, names: Sequence[str]) -> dict[str, Sequence[str]]:
    """Read columns of a CSV file as text, to be copied beside the predictions.

    Args:
        path: The table that the model is run on, with the columns' names in its first line.
        names: The columns, in the order in which they are to be written.

    Returns:
        Fields ``[rows]`` by column, exactly as they are in the file.

    Raises:
        InputError: The file is not CSV, or a column is missing or there twice.
        StorageError: The file cannot be read.
    """
    table = read_csv(path)
    counts = Counter(table.names)
    for name in names:
        if counts[name] != 1:
            state = "is there twice" if counts[name] else "is missing"
            raise InputError(
                f"--id: column '{name}' of {path.name} {state}; its columns are {', '.join(table.names[:20])[:200]}.",
                fix="name a column of the first line.",
            )
    return {name: table.at(table.names.index(name)).fields for name in names}
