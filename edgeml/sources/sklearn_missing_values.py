"""The columns in which a scikit-learn model accepts missing values, found by calling the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np

from edgeml.core.tensors import TensorSpec
from edgeml.sources.sklearn_table import ModelTable

__all__ = ["probe_missing_values"]

_CALL_COLUMNS = 256


def probe_missing_values(table: ModelTable, predict: Callable[[Any], Any]) -> tuple[TensorSpec, ...]:
    """Return the model's inputs, marked with the columns where a missing value gives a finite output.

    Args:
        table: The part of the table that the model reads.
        predict: The model's method, from rows in the form that the model accepts.
    """

    def accepts(columns: list[int]) -> np.ndarray:
        """Return for each column whether its value may be missing, by one call with a row for each column."""
        inputs = table.samples(len(columns))
        for row, column in enumerate(columns):
            if table.typed:
                name = table.input_names[column]
                inputs[name][row, 0] = "" if table.columns[column].text else np.nan
            else:
                next(iter(inputs.values()))[row, column] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                outputs = np.asarray(predict(table.rows(inputs))).reshape(len(columns), -1)
            except Exception:  # noqa: BLE001  # scikit-learn raises many types; each means that it does not accept them
                return np.zeros(len(columns), bool)
        return np.ones(len(columns), bool) if outputs.dtype.kind in "OU" else np.isfinite(outputs).all(axis=1)

    columns = list(range(len(table.columns)))
    accepted = _accepted_columns(accepts, columns, uniform=not table.framed and not table.typed)
    if table.typed:
        return tuple(
            msgspec.structs.replace(spec, missing_values=column in accepted)
            for column, spec in zip(columns, table.specs(), strict=True)
        )
    (spec,) = table.specs()
    return (
        msgspec.structs.replace(spec, missing_values=len(accepted) == len(columns) or tuple(sorted(accepted)) or False),
    )


def _accepted_columns(accepts: Callable[[list[int]], np.ndarray], columns: list[int], *, uniform: bool) -> set[int]:
    """Return the columns in which values may be missing.

    Args:
        accepts: Tests several columns in one call; where the model refuses one of them, it refuses the call.
        columns: All columns.
        uniform: Whether a model that refuses one column's missing values refuses all, as models do that read one
            array.
    """
    accepted: set[int] = set()
    for group in _groups(columns):
        results = accepts(group)
        if results.any():
            accepted.update(column for column, ok in zip(group, results, strict=True) if ok)
        elif uniform:
            return set()
        elif len(group) > 1:
            accepted.update(column for column in group if accepts([column]).all())
    return accepted


def _groups(columns: list[int]) -> Iterable[list[int]]:
    return (columns[start : start + _CALL_COLUMNS] for start in range(0, len(columns), _CALL_COLUMNS))
