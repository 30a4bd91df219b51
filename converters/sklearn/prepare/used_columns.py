"""Column selection, in any order, as a scikit-learn transformer.

skl2onnx ignores the order if a ColumnTransformer passes all of its columns to one part, and cannot select columns if a
ColumnTransformer is not the first step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ColumnSelection", "keep_column_order", "to_feature_union"]


class ColumnSelection:
    """A transformer that selects columns of a table.

    Args:
        indices: Indices of the columns, in order.
    """

    def __init__(self, indices: list[int]) -> None:
        self.indices = indices

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Return the columns ``[samples, selected]``."""
        return rows[:, self.indices]

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator

        return BaseEstimator().__sklearn_tags__()


def keep_column_order(part: Any, indices: list[int]) -> tuple[Any, list[int]]:
    """Wrap a part of a ColumnTransformer if skl2onnx would lose the order of its columns; return it and the columns."""
    ordered = sorted(indices)
    if part == "drop" or indices == ordered or ordered != list(range(len(indices))):
        return part, indices
    return _select(part, indices), ordered


def to_feature_union(model: Any) -> Any:
    """Convert a ColumnTransformer to an equivalent FeatureUnion of parts that start with a column selection."""
    from sklearn.pipeline import FeatureUnion

    parts = [
        (key, _select(part, indices)) for key, part, indices in model.transformers_ if part != "drop" and len(indices)
    ]
    return FeatureUnion(parts, transformer_weights=model.transformer_weights)


def _select(part: Any, indices: list[int]) -> Any:
    from sklearn.pipeline import Pipeline

    selection = ColumnSelection(indices)
    return selection if isinstance(part, str) else Pipeline([("columns", selection), ("part", part)])
