"""Rounding of decision tree thresholds for engines that store them as float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["round_thresholds"]


def round_thresholds(model: Any) -> Any:
    """Round all tree thresholds of a scikit-learn model to float32, in place, without changing its predictions.

    scikit-learn compares float32 features with float64 thresholds. The largest float32 that does not exceed such a
    threshold splits float32 features in the same way; the nearest float32 may not.
    """
    for thresholds in _thresholds(model, set()):
        with np.errstate(over="ignore"):
            nearest = thresholds.astype(np.float32)
        thresholds[...] = np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return model


def _thresholds(value: Any, visited: set[int]) -> Iterator[np.ndarray]:
    """Yield the threshold arrays of all trees inside a model."""
    if id(value) in visited:
        return
    visited.add(id(value))
    if type(value).__name__ == "Tree":
        yield value.threshold
    elif type(value).__name__ == "TreePredictor":
        yield value.nodes["num_threshold"]
    elif isinstance(value, dict):
        for item in value.values():
            yield from _thresholds(item, visited)
    elif isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype.hasobject):
        for item in np.ravel(value) if isinstance(value, np.ndarray) else value:
            yield from _thresholds(item, visited)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from _thresholds(vars(value), visited)
