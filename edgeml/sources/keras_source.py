"""A loaded Keras model of either generation, as a source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.source import Probes, Reference, SourceInfo
from edgeml.sources.range_probes import make_range_probes

__all__ = ["KerasSource"]

_BATCH = 32  # of the reference, as in Keras's own predict


@dataclass(frozen=True, slots=True)
class KerasSource:
    """A loaded Keras model and its description.

    Attributes:
        info: Description of the model.
        model: The model in float32, which is converted.
        compute: Function from a model and a flat list of inputs to a flat list of outputs, in inference mode.
        saved_model: The model as saved, where it computes in another precision; else None.
    """

    info: SourceInfo
    model: Any
    compute: Callable[[Any, list[Any]], list[Any]]
    saved_model: Any = None

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """Return the model's outputs, floats as float32, in inference mode and in batches of 32.

        The outputs in the precision of the saved model are added where that is not float32.

        Args:
            inputs: Arrays ``[samples, ...]`` in the signature's order and dtypes.
        """
        own = None if self.saved_model is None else self._outputs(self.saved_model, inputs)
        return Reference(self._outputs(self.model, inputs), own=own)

    def run_batches(self, batches: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Return the model's outputs for batches of at most 32 samples, each computed in one call."""
        return [self._outputs(self.model, batch) for batch in batches]

    def compared_columns(self) -> dict[str, tuple[int, ...]]:
        """Return no columns: a network computes with all of its inputs."""
        return {}

    def probes(self, inputs: dict[str, np.ndarray]) -> Probes:
        """Return inputs beyond the ranges of the samples. See `make_range_probes`."""
        return make_range_probes(inputs, self.info.whole_inputs, self.reference)

    def call(self, inputs: list[Any]) -> list[Any]:
        """Return the outputs as a flat list in the model's order, floats as float32, from a flat list of inputs.

        Arrays are accepted and, while TensorFlow traces, symbolic tensors. Inputs of another dtype than the model's
        are cast.
        """
        return self.compute(self.model, inputs)

    def _outputs(self, model: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        arrays, specs = list(inputs.values()), self.info.signature.outputs
        starts = range(0, len(arrays[0]), _BATCH)
        batches = [self.compute(model, [array[start : start + _BATCH] for array in arrays]) for start in starts]
        return {
            spec.name: np.concatenate([np.asarray(part, dtype=spec.dtype) for part in column])
            for spec, column in zip(specs, zip(*batches, strict=True), strict=True)
        }
