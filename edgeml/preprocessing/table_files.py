"""Read the inputs of a model from the columns of CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Table
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.preprocessing.csv_table import CsvColumn, CsvTable, check_separator, read_csv

__all__ = ["TABLE_SUFFIXES", "inputs_of_table", "read_table"]

TABLE_SUFFIXES = (".csv",)


def read_table(path: Path, inputs: Sequence[tuple[TensorSpec, Table]]) -> dict[str, np.ndarray]:
    """Read the declared columns of a CSV file; the file's other columns are ignored.

    Args:
        path: The file.
        inputs: The inputs, each with the columns that it consists of.

    Returns:
        By column ``[rows]``: float64, NaN where a number is missing; or text, "" where it is missing.

    Raises:
        InputError: The file is not CSV, a column is missing or there twice, a field is not of the column's type, or
            a value is missing that the model needs.
        StorageError: The file cannot be read.
    """
    return _declared_columns(read_csv(path), inputs)


def inputs_of_table(
    table: CsvTable, signature: Signature, declarations: Mapping[str, Table], what: str
) -> dict[str, np.ndarray]:
    """Convert a CSV file to the inputs of a model, each column by the type that the model declares.

    Args:
        table: The file.
        signature: The model's signature.
        declarations: The columns of each input. Without them columns belong to inputs ``[samples, 1]`` by name if all
            names are there, and otherwise by their order in the file.
        what: What to call the data in messages, for instance ``calibration``.

    Returns:
        By input ``[rows, columns]``: float64, NaN where a number is missing; or text, "" where it is missing.

    Raises:
        InputError: As `read_table`; or the number of columns is not that of the model.
    """
    specs = signature.inputs
    if all(spec.name in declarations for spec in specs):
        columns = _declared_columns(table, [(spec, declarations[spec.name]) for spec in specs])
        return {
            spec.name: np.stack([columns[name] for name in declarations[spec.name].columns], axis=1) for spec in specs
        }
    check_separator(table)
    if len(specs) == 1 and len(specs[0].shape) == 2:
        (spec,) = specs
        _check_count(table, spec.shape[1], what)
        return {spec.name: np.stack([_values(table.at(i), spec, i) for i in range(len(table.header))], axis=1)}
    if any(spec.shape != (None, 1) for spec in specs):
        shapes = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in specs)
        raise InputError(
            f"{what}: {table.file} is a table, and the model's inputs are not: {shapes}.",
            fix="give arrays: an .npz file with one array for each input.",
        )
    names = [spec.name for spec in specs]
    if set(names) <= set(table.names):
        selected = table.select(names)
    else:
        _check_count(table, len(specs), what)
        selected = [table.at(i) for i in range(len(specs))]
    return {spec.name: _values(column, spec, 0)[:, None] for spec, column in zip(specs, selected, strict=True)}


def _declared_columns(table: CsvTable, inputs: Sequence[tuple[TensorSpec, Table]]) -> dict[str, np.ndarray]:
    specs = {name: (spec, place) for spec, declaration in inputs for place, name in enumerate(declaration.columns)}
    columns = table.select(list(specs))
    return {name: _values(column, *specs[name]) for name, column in zip(specs, columns, strict=True)}


def _values(column: CsvColumn, spec: TensorSpec, place: int) -> np.ndarray:
    """Convert a column by the spec of its input, in which it has a place."""
    missing = spec.gaps is True or (spec.gaps is not False and place in spec.gaps)
    if spec.dtype == "string":
        return column.texts(missing=missing, known=(*spec.texts, *spec.literal_texts), closed=bool(spec.texts))
    return column.numbers(missing=missing)


def _check_count(table: CsvTable, expected: int | None, what: str) -> None:
    if expected is not None and len(table.header) != expected:
        raise InputError(
            f"{what}: {table.file} has {len(table.header)} columns ({', '.join(table.names[:10])}"
            f"{', …' if len(table.names) > 10 else ''}), and the model takes {expected} columns without names.",
            fix="keep the model's columns alone, in its order; on the command line --target names that of the labels.",
        )
