"""Convert rows of a table to the values of an input."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Table
from edgeml.core.tensors import TensorSpec

__all__ = ["prepare"]


def prepare(declaration: Table, raw: object, spec: TensorSpec) -> np.ndarray:
    """Convert rows to the values of an input.

    Args:
        declaration: The columns.
        raw: One of: rows, each a mapping from column names (other entries are ignored) or a sequence in the order of
            the columns; an array ``[rows, columns]``; a mapping from column names to columns or to single values; a
            data frame. Missing values are None or NaN, and among text also "".
        spec: The input.

    Returns:
        ``[rows, columns]``: float64, NaN where a value is missing; or text, "" where it is missing.

    Raises:
        InputError: A column is missing, or a value is not of the input's type.
    """
    where = f"raw input '{spec.name}'"
    if hasattr(raw, "columns") and hasattr(raw, "to_numpy"):
        frame: Any = raw
        raw = {name: frame[name].to_numpy() for name in frame.columns}
    if isinstance(raw, Mapping):
        _check_columns(raw, declaration, where)
        columns = [_convert_column(raw[name], spec, f"{where}, column '{name}'") for name in declaration.columns]
        if len({column.shape for column in columns}) > 1:
            raise InputError(f"{where}: the columns have different lengths.")
        return np.stack(columns, axis=1)
    if isinstance(raw, np.ndarray) and raw.ndim == 2:
        rows: Sequence[object] = list(raw)
    elif isinstance(raw, list | tuple):
        rows = raw
    else:
        raise InputError(
            f"{where}: got {type(raw).__name__}, expected rows, a mapping from column names, or a data frame."
        )
    values = [_convert_row(row, declaration, spec, f"{where}, row {i}") for i, row in enumerate(rows)]
    return np.array(values, dtype=_dtype(spec)).reshape(len(values), len(declaration.columns))


def _dtype(spec: TensorSpec) -> type:
    return np.str_ if spec.dtype == "string" else np.float64


def _convert_column(column: Any, spec: TensorSpec, where: str) -> np.ndarray:
    array = column if isinstance(column, np.ndarray) else np.asarray(column, dtype=object)
    if spec.dtype != "string" and array.dtype.kind in "fiub" and array.ndim == 1:
        return array.astype(np.float64)
    values = [column] if array.ndim == 0 else list(column)
    return np.array([_convert_value(value, spec, where) for value in values], dtype=_dtype(spec))


def _convert_row(row: object, declaration: Table, spec: TensorSpec, where: str) -> list[Any]:
    if isinstance(row, Mapping):
        _check_columns(row, declaration, where)
        return [_convert_value(row[name], spec, f"{where}, column '{name}'") for name in declaration.columns]
    count = len(declaration.columns)
    if not isinstance(row, list | tuple | np.ndarray) or (isinstance(row, np.ndarray) and row.ndim != 1):
        raise InputError(f"{where}: got {row!r:.60}, expected {count} values.")
    if len(row) != count:
        raise InputError(f"{where}: got {len(row)} values, expected {count}.")
    return [
        _convert_value(value, spec, f"{where}, column '{name}'")
        for value, name in zip(row, declaration.columns, strict=True)
    ]


def _convert_value(value: Any, spec: TensorSpec, where: str) -> Any:
    """Return a number or text; NaN or "" where it is missing."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "" if spec.dtype == "string" else math.nan
    if isinstance(value, list | tuple | np.ndarray):
        raise InputError(f"{where}: got {len(value)} values, expected a single one.")
    if spec.dtype == "string":
        if not isinstance(value, str):
            raise InputError(f"{where}: got {value!r:.60}, expected text.")
        return value
    if not isinstance(value, numbers.Real):
        raise InputError(f"{where}: got {value!r:.60}, expected a number.")
    return float(value)


def _check_columns(row: Mapping[object, object], declaration: Table, where: str) -> None:
    missing = [name for name in declaration.columns if name not in row]
    if missing:
        raise InputError(
            f"{where}: columns are missing: {', '.join(missing[:10])}{', …' if len(missing) > 10 else ''}.",
            fix="give every column of the model; edgeml inspect lists those of a package.",
        )
