"""The table that a scikit-learn model was trained on: its columns as inputs, and inputs as such a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from edgeml.core.errors import MissingDependencyError
from edgeml.core.tensors import TensorSpec, plain_names
from edgeml.sources.sklearn_columns import Column, first_step, table_columns

__all__ = ["ModelTable", "model_table"]

_FEATURES = "features"


@dataclass(frozen=True, slots=True)
class ModelTable:
    """The part of a table that a model reads.

    Attributes:
        columns: The columns that the model reads, in the table's order.
        width: Number of columns of the table.
        names: Names of all columns of the table; None for an array.
        framed: Whether the model selects columns by name, and so needs a data frame.
    """

    columns: tuple[Column, ...]
    width: int
    names: tuple[str, ...] | None
    framed: bool

    @property
    def typed(self) -> bool:
        """True if each column is a separate input, since some of them hold text."""
        return any(column.text for column in self.columns)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        if not self.typed:
            return [_FEATURES]
        return plain_names(column.name or f"column_{column.position}" for column in self.columns)

    @property
    def columns_of_inputs(self) -> dict[str, tuple[str, ...]]:
        """Names of the columns by the input that holds them; empty where the table had no names."""
        if self.names is None:
            return {}
        names = [str(column.name) for column in self.columns]
        if not self.typed:
            return {_FEATURES: tuple(names)}
        return {name: (column,) for name, column in zip(self.input_names, names, strict=True)}

    def selectors(self, model: Any) -> list[Any]:
        """Return the ColumnTransformers of a model, or of a copy of it, that receive the table itself."""
        first = first_step(model)
        if type(first).__name__ == "FeatureUnion":
            return [selector for _, part in first.transformer_list for selector in self.selectors(part)]
        return [first] if type(first).__name__ == "ColumnTransformer" else []

    def specs(self) -> tuple[TensorSpec, ...]:
        """Return the inputs, without a mark for missing values."""
        if not self.typed:
            return (TensorSpec(_FEATURES, (None, len(self.columns)), self._number_dtype),)
        return tuple(
            TensorSpec(
                name,
                (None, 1),
                "string" if column.text else self._number_dtype,
                texts=column.categories if column.closed else (),
                literal_texts=column.literal,
            )
            for name, column in zip(self.input_names, self.columns, strict=True)
        )

    @property
    def _number_dtype(self) -> Literal["float32", "float64"]:
        """The dtype of numbers: float64 for tables, and for arrays the float32 that devices have."""
        return "float64" if self.names is not None or self.typed else "float32"

    def samples(self, count: int) -> dict[str, np.ndarray]:
        """Return inputs that the model accepts: ones, and a text that it was trained on."""
        if not self.typed:
            return {_FEATURES: np.ones((count, len(self.columns)), self._number_dtype)}
        return {
            name: np.full((count, 1), next(iter(column.categories), ""))
            if column.text
            else np.ones((count, 1), self._number_dtype)
            for name, column in zip(self.input_names, self.columns, strict=True)
        }

    def rows(self, inputs: Mapping[str, np.ndarray]) -> Any:
        """Return inputs ``[samples, ...]`` in the model's form: an array ``[samples, width]``, or a data frame.

        Columns that the model does not read are filled with NaN.

        Raises:
            MissingDependencyError: The model needs a data frame, and pandas is not installed.
        """
        if not self.framed and not self.typed and len(self.columns) == self.width:
            return inputs[_FEATURES]
        values = self._values(inputs)
        count = len(next(iter(values.values())))
        table = {
            position: values.get(position, np.full(count, np.nan, self._number_dtype)) for position in range(self.width)
        }
        if self.framed and self.names is not None:
            return _data_frame(dict(zip(self.names, table.values(), strict=True)))
        if self.typed:
            return np.stack([column.astype(object) for column in table.values()], axis=1)
        return np.stack(list(table.values()), axis=1)

    def _values(self, inputs: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
        """Return columns ``[samples]`` by their position in the table."""
        if not self.typed:
            rows = inputs[_FEATURES]
            return {column.position: rows[:, number] for number, column in enumerate(self.columns)}
        columns = {}
        for name, column in zip(self.input_names, self.columns, strict=True):
            values = inputs[name][:, 0]
            if column.text:
                values = values.astype(object)
                values[values == ""] = column.missing_marker
            columns[column.position] = values
        return columns


def _data_frame(columns: dict[str, np.ndarray]) -> Any:
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingDependencyError("A model that was trained on a table with named columns", "sklearn") from error
    # An explicit dtype keeps text as objects, of which pandas would make its own string type.
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()})


def model_table(model: Any, width: int) -> ModelTable:
    """Return the part of its training table that a model reads.

    Args:
        model: The model.
        width: Number of columns of the table that the model was trained on.

    Raises:
        UnsupportedModelError: The model reads a column both as text and as numbers.
    """
    columns = table_columns(model)
    names = getattr(model, "feature_names_in_", None)
    selects = type(first_step(model)).__name__ in {"ColumnTransformer", "FeatureUnion"}
    if not columns or (names is None and not any(column.text for column in columns)):
        columns = tuple(Column(None if names is None else str(names[i]), i) for i in range(width))
    table_names = None if names is None else tuple(map(str, names))
    framed = table_names is not None and (selects or any(column.text for column in columns))
    return ModelTable(columns, width, table_names, framed)
