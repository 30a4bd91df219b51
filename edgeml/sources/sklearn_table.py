"""The table that a scikit-learn model was trained on: its columns as inputs, and inputs as such a table again."""

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
    """What a model reads of a table.

    Attributes:
        columns: The columns that it reads, in the table's order.
        width: How many the table has.
        names: All their names; None for an array.
        framed: Whether the model finds columns by name, and so takes nothing but a data frame.
    """

    columns: tuple[Column, ...]
    width: int
    names: tuple[str, ...] | None
    framed: bool

    @property
    def typed(self) -> bool:
        """Whether each column is an input of its own, since text is among them."""
        return any(column.text for column in self.columns)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        if not self.typed:
            return [_FEATURES]
        return plain_names(column.name or f"column_{column.place}" for column in self.columns)

    @property
    def columns_of_inputs(self) -> dict[str, tuple[str, ...]]:
        """Names of the columns that each input is made of; empty where the table had none."""
        if self.names is None:
            return {}
        named = [str(column.name) for column in self.columns]
        if not self.typed:
            return {_FEATURES: tuple(named)}
        return {name: (column,) for name, column in zip(self.input_names, named, strict=True)}

    def selectors(self, model: Any) -> list[Any]:
        """The ColumnTransformers of a model, or of a copy of it, that the table itself is given to."""
        first = first_step(model)
        if type(first).__name__ == "FeatureUnion":
            return [found for _, part in first.transformer_list for found in self.selectors(part)]
        return [first] if type(first).__name__ == "ColumnTransformer" else []

    def specs(self) -> tuple[TensorSpec, ...]:
        """The inputs, without gaps."""
        if not self.typed:
            return (TensorSpec(_FEATURES, (None, len(self.columns)), self._numbers),)
        return tuple(
            TensorSpec(
                name,
                (None, 1),
                "string" if column.text else self._numbers,
                texts=column.known if column.closed else (),
                literal_texts=column.literal,
            )
            for name, column in zip(self.input_names, self.columns, strict=True)
        )

    @property
    def _numbers(self) -> Literal["float32", "float64"]:
        """A table's numbers are float64; arrays are taken as the float32 that devices have."""
        return "float64" if self.names is not None or self.typed else "float32"

    def samples(self, count: int) -> dict[str, np.ndarray]:
        """Inputs that the model takes: ones, and a text that it knows."""
        if not self.typed:
            return {_FEATURES: np.ones((count, len(self.columns)), self._numbers)}
        return {
            name: np.full((count, 1), next(iter(column.known), ""))
            if column.text
            else np.ones((count, 1), self._numbers)
            for name, column in zip(self.input_names, self.columns, strict=True)
        }

    def rows(self, inputs: Mapping[str, np.ndarray]) -> Any:
        """Inputs ``[samples, ...]`` as the model takes them: an array ``[samples, width]``, or a data frame.

        Columns that it does not read are filled with NaN.

        Raises:
            MissingDependencyError: It takes data frames, and pandas is not installed.
        """
        if not self.framed and not self.typed and len(self.columns) == self.width:
            return inputs[_FEATURES]
        values = self._values(inputs)
        count = len(next(iter(values.values())))
        table = {place: values.get(place, np.full(count, np.nan, self._numbers)) for place in range(self.width)}
        if self.framed and self.names is not None:
            return _frame(dict(zip(self.names, table.values(), strict=True)))
        if self.typed:
            return np.stack([column.astype(object) for column in table.values()], axis=1)
        return np.stack(list(table.values()), axis=1)

    def _values(self, inputs: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
        """Columns ``[samples]`` by their place in the table."""
        if not self.typed:
            rows = inputs[_FEATURES]
            return {column.place: rows[:, number] for number, column in enumerate(self.columns)}
        found = {}
        for name, column in zip(self.input_names, self.columns, strict=True):
            values = inputs[name][:, 0]
            if column.text:
                values = values.astype(object)
                values[values == ""] = column.gap
            found[column.place] = values
        return found


def _frame(columns: dict[str, np.ndarray]) -> Any:
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingDependencyError("A model that was trained on a table with named columns", "sklearn") from error
    # Text stays as it is: pandas would make a type of its own of it.
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()})


def model_table(model: Any, width: int) -> ModelTable:
    """What a model reads.

    Args:
        model: The model.
        width: Columns of the table that it was trained on.

    Raises:
        UnsupportedModelError: It takes a column for text and for numbers.
    """
    columns = table_columns(model)
    names = getattr(model, "feature_names_in_", None)
    selects = type(first_step(model)).__name__ in {"ColumnTransformer", "FeatureUnion"}
    if not columns or (names is None and not any(column.text for column in columns)):
        columns = tuple(Column(None if names is None else str(names[place]), place) for place in range(width))
    named = None if names is None else tuple(map(str, names))
    framed = named is not None and (selects or any(column.text for column in columns))
    return ModelTable(columns, width, named, framed)
