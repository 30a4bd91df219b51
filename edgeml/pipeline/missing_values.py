"""Samples with missing values, for sources that support them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeml.core.tensors import Signature, TensorSpec

__all__ = [
    "has_missing_values",
    "has_unsupported_missing_values",
    "make_missing_value_samples",
    "select_complete_samples",
]

_MIN_SAMPLES, _MAX_SAMPLES = 256, 1024


def make_missing_value_samples(inputs: Mapping[str, np.ndarray], signature: Signature) -> dict[str, np.ndarray] | None:
    """Return 256 to 1,024 samples, each with one additional missing value, in each supported column in turn.

    Args:
        inputs: Samples by input name; they are repeated if there are too few.
        signature: Signature of the source.

    Returns:
        The samples; None if the source does not support missing values.
    """
    positions = [(spec, column) for spec in signature.visible.inputs for column in _columns(spec)]
    if not positions:
        return None
    count = len(next(iter(inputs.values())))
    rows = np.arange(min(max(_MIN_SAMPLES, len(positions)), _MAX_SAMPLES))
    samples = {name: array[rows % count] for name, array in inputs.items()}
    for row in rows:
        spec, column = positions[row % len(positions)]
        samples[spec.name][row, ..., column] = "" if spec.dtype == "string" else np.nan
    return samples


def select_complete_samples(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the samples without missing values."""
    complete = ~np.any([_missing(array) for array in arrays.values()], axis=0)
    return {name: array[complete] for name, array in arrays.items()}


def has_missing_values(arrays: Mapping[str, np.ndarray]) -> bool:
    """Test whether any sample has a missing value."""
    return any(bool(_missing(array).any()) for array in arrays.values())


def has_unsupported_missing_values(inputs: Mapping[str, np.ndarray], signature: Signature) -> bool:
    """Test whether samples have missing values in inputs of an artifact that do not support them."""
    return any(not spec.missing_values and bool(_missing(inputs[spec.name]).any()) for spec in signature.visible.inputs)


def _columns(spec: TensorSpec) -> range | tuple[int, ...]:
    if isinstance(spec.missing_values, bool):
        return range(spec.shape[-1] or 0) if spec.missing_values else ()
    return spec.missing_values


def _missing(array: np.ndarray) -> np.ndarray:
    """Return a mask of the samples with missing values, ``[samples]``."""
    missing = array == "" if array.dtype.kind == "U" else np.isnan(array)
    return missing.reshape(len(array), -1).any(axis=1)
