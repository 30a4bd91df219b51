"""Thresholds of decision trees for engines that hold them as float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["with_float32_thresholds"]


def with_float32_thresholds(model: Any) -> Any:
    """Rounds the thresholds of a scikit-learn model, in place, so that it decides the same about float32 features.

    scikit-learn compares them with float64 thresholds. The largest float32 that is not above such a threshold
    parts them in the same way; the nearest one may not.
    """
    for thresholds in _thresholds(model, set()):
        with np.errstate(over="ignore"):
            nearest = thresholds.astype(np.float32)
        thresholds[...] = np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return model


def _thresholds(value: Any, seen: set[int]) -> Iterator[np.ndarray]:
    """The arrays of thresholds of all trees within a model."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if type(value).__name__ == "Tree":
        yield value.threshold
    elif type(value).__name__ == "TreePredictor":
        yield value.nodes["num_threshold"]
    elif isinstance(value, dict):
        for item in value.values():
            yield from _thresholds(item, seen)
    elif isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype.hasobject):
        for item in np.ravel(value) if isinstance(value, np.ndarray) else value:
            yield from _thresholds(item, seen)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from _thresholds(vars(value), seen)
