"""The axis of the batch around tensors that do not have it in the model file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.engine import ArrayInstance, EngineAdapter, EngineInstance
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["batched_instance"]


def batched_instance(adapter: EngineAdapter, signature: Signature, batch: int | None, threads: int) -> EngineInstance:
    """Create an instance of an engine whose arrays all have the batch as their first axis."""
    instance = adapter.instance(batch, threads)
    if signature.is_batched:
        return instance
    inputs, outputs = signature.inputs, signature.outputs
    if isinstance(instance, ArrayInstance):

        def call(values: Sequence[np.ndarray]) -> list[np.ndarray]:
            samples = [
                value.reshape(value.shape[1:]) if spec.unbatched else value
                for value, spec in zip(values, inputs, strict=True)
            ]
            return _with_batch(instance(samples), outputs)

        return ArrayInstance(call)
    places = _with_batch(instance.inputs, inputs), _with_batch(instance.outputs, outputs)
    return EngineInstance(*places, instance.run, keep=instance)


def _with_batch(arrays: Sequence[np.ndarray], specs: Sequence[TensorSpec]) -> list[np.ndarray]:
    return [array[None] if spec.unbatched else array for array, spec in zip(arrays, specs, strict=True)]
