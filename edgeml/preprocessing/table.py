"""Rows of tables to an input's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Table
from edgeml.core.tensors import TensorSpec

__all__ = ["prepare"]


def prepare(declaration: Table, raw: object, spec: TensorSpec) -> np.ndarray:
    """Rows to the values of an input.

    Args:
        declaration: The columns.
        raw: Rows: mappings from column names, whose other entries are left out, or sequences in the order of the
            columns, also as an array ``[rows, columns]``; or one mapping from column names to columns or to single
            values.
        spec: The input.

    Returns:
        float32 ``[rows, columns]``.

    Raises:
        InputError: A column is missing, or a value is no number.
    """
    where = f"raw input '{spec.name}'"
    if isinstance(raw, Mapping):
        _check_columns(raw, declaration, where)
        columns = [np.atleast_1d(_numbers(raw[name], f"{where}, column '{name}'")) for name in declaration.columns]
        if len({column.shape for column in columns}) > 1 or columns[0].ndim != 1:
            raise InputError(f"{where}: the columns have different lengths, or are no columns.")
        return np.stack(columns, axis=1).astype(np.float32)
    if isinstance(raw, np.ndarray) and raw.ndim == 2:
        rows: Sequence[object] = list(raw)
    elif isinstance(raw, list | tuple):
        rows = raw
    else:
        raise InputError(f"{where}: got {type(raw).__name__}, expected rows, or a mapping from column names.")
    values = np.empty((len(rows), len(declaration.columns)), np.float32)
    for i, row in enumerate(rows):
        values[i] = _row(row, declaration, f"{where}, row {i}")
    return values


def _row(row: object, declaration: Table, where: str) -> np.ndarray:
    if isinstance(row, Mapping):
        _check_columns(row, declaration, where)
        for name in declaration.columns:
            if _numbers(row[name], f"{where}, column '{name}'").ndim:
                raise InputError(f"{where}, column '{name}': got several values, expected a number.")
        return np.array([row[name] for name in declaration.columns], np.float64)
    values = _numbers(row, where)
    if values.shape != (len(declaration.columns),):
        raise InputError(f"{where}: got shape {list(values.shape)}, expected {len(declaration.columns)} values.")
    return values


def _check_columns(row: Mapping[object, object], declaration: Table, where: str) -> None:
    missing = [name for name in declaration.columns if name not in row]
    if missing:
        raise InputError(
            f"{where}: columns are missing: {', '.join(missing[:10])}{', …' if len(missing) > 10 else ''}.",
            fix="give every column that the package declares: edgeml inspect names them.",
        )


def _numbers(value: object, where: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{where}: is no regular array ({error}).") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"{where}: got {value!r:.60}, expected numbers.")
    return array
