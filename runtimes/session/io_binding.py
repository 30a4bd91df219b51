"""Direct access to an engine's memory for hot loops, without copies and checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from edgeml.core.engine import EngineInstance
from edgeml.core.tensors import Signature, TensorSpec

from .pool import closed_error

__all__ = ["IoBinding"]


class IoBinding:
    """Inputs and outputs of an artifact as arrays over the engine's memory, for one thread at a time.

    Values are not checked, quantized or copied: the arrays have the artifact's dtypes, and the next `run` overwrites
    the outputs.

    Attributes:
        inputs: Arrays ``[batch, ...]`` by name, to write to before each run. A run may overwrite them.
        outputs: Arrays ``[batch, ...]`` by name, to read after a run. Copy an output to keep it.
        run: Runs the artifact on the inputs.

    Example:
        >>> hot = session.bind()
        >>> image, scores = hot.inputs["image"], hot.outputs["scores"]
        >>> while camera.read_into(image):
        ...     hot.run()
        ...     act_on(scores)
    """

    __slots__ = ("__weakref__", "_instance", "inputs", "outputs", "run")

    def __init__(self, instance: EngineInstance, signature: Signature) -> None:
        self._instance: EngineInstance | None = instance
        self.inputs = _by_name(signature.inputs, instance.inputs)
        self.outputs = _by_name(signature.outputs, instance.outputs)
        self.run: Callable[[], object] = instance.run

    def close(self) -> None:
        """Release the engine. The arrays must not be used any more; `run` raises TargetError."""
        self.run = _closed
        self.inputs = self.outputs = MappingProxyType({})
        self._instance = None


def _by_name(specs: tuple[TensorSpec, ...], arrays: tuple[np.ndarray, ...]) -> Mapping[str, np.ndarray]:
    return MappingProxyType({spec.name: array for spec, array in zip(specs, arrays, strict=True)})


def _closed() -> None:
    raise closed_error()
