"""Assembly of the source's outputs from an artifact's, where these hold parts of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["Assemble", "assembly"]

Assemble = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
"""A function from an artifact's outputs ``[samples, ...]``, in the source's units, to the source's outputs."""


def assembly(signature: Signature) -> Assemble | None:
    """Return the function that assembles the source's outputs; None where no output holds a part."""
    if all(spec.part is None for spec in signature.outputs):
        return None
    indices: dict[str, list[int]] = {}
    for i, spec in enumerate(signature.outputs):
        indices.setdefault(spec.source_name, []).append(i)
    joins = [
        None if signature.outputs[first].part is None else _join([signature.outputs[i] for i in (first, *others)])
        for first, *others in indices.values()
    ]
    columns = list(indices.values())

    def assemble(outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [
            outputs[own[0]] if join is None else join([outputs[i] for i in own])
            for own, join in zip(columns, joins, strict=True)
        ]

    return assemble


def _join(specs: Sequence[TensorSpec]) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    parts = [spec.part for spec in specs if spec.part is not None]
    axis, size = parts[0].axis, sum(len(part.positions) for part in parts)
    places = [(*[slice(None)] * axis, _index(part.positions)) for part in parts]

    def join(arrays: Sequence[np.ndarray]) -> np.ndarray:
        shape = arrays[0].shape
        whole = np.empty((*shape[:axis], size, *shape[axis + 1 :]), np.float32)
        for place, array in zip(places, arrays, strict=True):
            whole[place] = array
        return whole

    return join


def _index(positions: tuple[int, ...]) -> slice | np.ndarray:
    """Return positions as a slice, which NumPy copies faster, where they have no gap."""
    first, last = positions[0], positions[-1]
    return slice(first, last + 1) if len(positions) == last + 1 - first else np.array(positions)
