"""Columns of a table, in any order, as a scikit-learn transformer.

skl2onnx leaves the order alone where a ColumnTransformer gives a part all of its columns, and finds none at all
where one is not the first step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Selection", "in_order", "union_of"]


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
