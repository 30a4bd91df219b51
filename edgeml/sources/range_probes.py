"""Inputs beyond the ranges of a network's data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from edgeml.core.errors import EdgemlError
from edgeml.core.finite import finite_samples
from edgeml.core.source import Probes, Reference

__all__ = ["make_range_probes"]

_WIDER = 1.5  # times the range, about its center
_SCALED = 4  # samples


def make_range_probes(
    inputs: Mapping[str, np.ndarray],
    whole_inputs: Collection[str],
    reference: Callable[[dict[str, np.ndarray]], Reference],
) -> Probes:
    """Return zeros, the ends of the inputs' ranges widened by half, and samples scaled so; with finite outputs alone.

    Args:
        inputs: Typical samples ``[samples, ...]`` by input name.
        whole_inputs: Names of the inputs of whole numbers, which keep the samples' values; so do inputs whose samples
            are all whole, since such numbers may be ids, beyond which a model has no answer.
        reference: Function from inputs to the model's outputs.
    """
    rows = {}
    for name, array in inputs.items():
        samples = array[np.arange(_SCALED + 3) % len(array)]
        if name not in whole_inputs and array.dtype.kind == "f" and (array != np.trunc(array)).any():
            samples = _widened(array, samples)
        rows[name] = samples
    try:
        answers = reference(rows)
    except (EdgemlError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  # frameworks raise many types; each means that the model refuses such inputs
        return Probes({}, Reference({}))
    finite = finite_samples(answers.outputs.values())
    outputs = {name: values[finite] for name, values in answers.outputs.items()}
    return Probes({name: array[finite] for name, array in rows.items()}, Reference(outputs))


def _widened(array: np.ndarray, samples: np.ndarray) -> np.ndarray:
    # Columns of a table have ranges of their own; pixels and samples of audio share one.
    axes = 0 if array.ndim == 2 else None
    low, high = (end(array, axis=axes, keepdims=True).astype(np.float64) for end in (np.nanmin, np.nanmax))
    center, reach = (low + high) / 2, _WIDER * (high - low) / 2
    rows = center + _WIDER * (samples - center)
    rows[_SCALED] = 0.0
    rows[_SCALED + 1] = (center - reach)[0]
    rows[_SCALED + 2] = (center + reach)[0]
    return rows.astype(array.dtype)
