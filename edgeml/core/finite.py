"""Samples without NaN and infinity."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

__all__ = ["finite_samples"]


def finite_samples(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Return a mask of the samples whose floats are finite in each array, bool ``[samples]``.

    Args:
        arrays: At least one array ``[samples, ...]``; integers, bools and texts count as finite.
    """
    masks = [
        np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if values.dtype.kind == "f"
        else np.ones(len(values), bool)
        for values in arrays
    ]
    return np.asarray(np.all(masks, axis=0))
