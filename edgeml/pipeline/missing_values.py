"""Missing values: where the source takes them, each artifact is asked about them too."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["complete_rows", "gap_rows", "lacks_gaps", "lacks_values"]

_FEWEST, _MOST = 256, 1024


def gap_rows(inputs: Mapping[str, np.ndarray], signature: Signature) -> dict[str, np.ndarray] | None:
    """Samples of which each lacks one value more: in turn every column that may, 256 to 1,024 samples.

    Args:
        inputs: Samples by input name; they begin again where they are too few.
        signature: The source's.

    Returns:
        The samples; None where the source needs every value.
    """
    places = [(spec, column) for spec in signature.inputs for column in _columns(spec)]
    if not places:
        return None
    count = len(next(iter(inputs.values())))
    rows = np.arange(min(max(_FEWEST, len(places)), _MOST))
    taken = {name: array[rows % count] for name, array in inputs.items()}
    for row in rows:
        spec, column = places[row % len(places)]
        taken[spec.name][row, ..., column] = "" if spec.dtype == "string" else np.nan
    return taken


def complete_rows(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The samples that lack nothing."""
    whole = ~np.any([_gaps(array) for array in arrays.values()], axis=0)
    return {name: array[whole] for name, array in arrays.items()}


def lacks_values(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether any sample lacks a value."""
    return any(bool(_gaps(array).any()) for array in arrays.values())


def lacks_gaps(inputs: Mapping[str, np.ndarray], signature: Signature) -> bool:
    """Whether samples lack values that an artifact needs; the inputs fit the source."""
    return any(not spec.gaps and bool(_gaps(inputs[spec.name]).any()) for spec in signature.inputs)


def _columns(spec: TensorSpec) -> range | tuple[int, ...]:
    if isinstance(spec.gaps, bool):
        return range(spec.shape[-1] or 0) if spec.gaps else ()
    return spec.gaps


def _gaps(array: np.ndarray) -> np.ndarray:
    """Which samples lack a value, ``[samples]``."""
    missing = array == "" if array.dtype.kind == "U" else np.isnan(array)
    return missing.reshape(len(array), -1).any(axis=1)
