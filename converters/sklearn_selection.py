"""Columns of a table, in any order, as a scikit-learn transformer and as ONNX.

skl2onnx leaves the order alone where a ColumnTransformer gives a part all of its columns, and finds none at all
where one is not the first step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .skl2onnx_nodes import Nodes

__all__ = ["Selection", "in_order", "selection_converters", "union_of"]


class Selection:
    """Gives columns of a table.

    Args:
        places: Which, in the order wanted.
    """

    def __init__(self, places: list[int]) -> None:
        self.places = places

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """The columns ``[samples, places]``."""
        return rows[:, self.places]

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator

        return BaseEstimator().__sklearn_tags__()


def selection_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    return {Selection: _selection}


def _selection(scope: Any, operator: Any, container: Any) -> None:
    nodes = Nodes(scope, container)
    columns = nodes.columns(operator.inputs[0].full_name, operator.raw_operator.places)
    nodes("Identity", columns, output=operator.outputs[0].full_name)


def in_order(part: Any, places: list[int]) -> tuple[Any, list[int]]:
    """A part of a ColumnTransformer and its columns, such that no order is lost."""
    straight = sorted(places)
    if part == "drop" or places == straight or straight != list(range(len(places))):
        return part, places
    return _selecting(part, places), straight


def union_of(model: Any) -> Any:
    """A ColumnTransformer as an equal union of parts that each begin with a selection."""
    from sklearn.pipeline import FeatureUnion

    parts = [
        (key, _selecting(part, places)) for key, part, places in model.transformers_ if part != "drop" and len(places)
    ]
    return FeatureUnion(parts, transformer_weights=model.transformer_weights)


def _selecting(part: Any, places: list[int]) -> Any:
    from sklearn.pipeline import Pipeline

    selection = Selection(places)
    return selection if isinstance(part, str) else Pipeline([("columns", selection), ("part", part)])
