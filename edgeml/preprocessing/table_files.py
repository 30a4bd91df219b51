"""Read the inputs of a model from the columns of CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, Table
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.preprocessing.csv_table import CsvColumn, CsvTable, check_separator, number_of, read_csv

__all__ = ["TABLE_SUFFIXES", "declare_columns", "inputs_of_table", "read_table"]

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
    table: CsvTable, signature: Signature, declarations: Mapping[str, Declaration]
) -> dict[str, np.ndarray]:
    """Convert a CSV file to the inputs of a model, each column by the type that the model declares.

    Args:
        table: The file.
        signature: The model's signature.
        declarations: The columns of each input.

    Returns:
        By input ``[rows, columns]``: float64, NaN where a number is missing; or text, "" where it is missing.

    Raises:
        InputError: As `read_table`; or an input does not consist of columns.
    """
    inputs = [(spec, declarations.get(spec.name)) for spec in signature.inputs]
    tables = [(spec, declaration) for spec, declaration in inputs if isinstance(declaration, Table)]
    if len(tables) < len(inputs):
        others = ", ".join(spec.name for spec, declaration in inputs if not isinstance(declaration, Table))
        raise InputError(
            f"{table.file} is a table, and the model's inputs {others} are not declared as columns of one.",
            fix="give arrays: an .npz file with one array for each input.",
        )
    columns = _declared_columns(table, tables)
    return {
        spec.name: np.stack([columns[name] for name in declaration.columns], axis=1) for spec, declaration in tables
    }


def declare_columns(table: CsvTable, signature: Signature) -> dict[str, Declaration]:
    """Declare the columns of a CSV file as the inputs of a model that does not name its columns.

    Columns belong to inputs ``[samples, 1]`` by name if all names are there, and otherwise by their order in the file.

    Returns:
        Declarations by input name; empty if the inputs are not columns of a table.

    Raises:
        InputError: The number of columns is not that of the model.
    """
    specs = signature.inputs
    names = [spec.name for spec in specs]
    single = len(specs) == 1 and len(specs[0].shape) == 2
    if not single and any(spec.shape != (None, 1) for spec in specs):
        return {}
    check_separator(table)
    if not single and set(names) <= set(table.names):
        return {name: Table(columns=(name,)) for name in names}
    expected = specs[0].shape[1] if single else len(specs)
    if expected is not None and len(table.names) != expected:
        raise InputError(
            f"{table.file} has {len(table.names)} columns ({', '.join(table.names[:10])}"
            f"{', …' if len(table.names) > 10 else ''}), and the model expects {expected} columns without names.",
            fix="keep the model's columns alone, in its order; on the command line --target names that of the labels.",
        )
    numbers = [name for name in table.names if number_of(name) is not None]
    if len(numbers) == len(table.names) and numbers != [str(place) for place in range(len(numbers))]:
        raise InputError(
            f"{table.file}: got the numbers {', '.join(numbers[:5])} in the first line, expected the columns' names.",
            fix="insert a line of names.",
        )
    if single:
        return {names[0]: Table(columns=table.names)}
    return {name: Table(columns=(column,)) for name, column in zip(names, table.names, strict=True)}


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
