"""Trial runs of a TFLite model, for what its file does not declare: sizes of outputs, and whether it has a batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeml.core.formats.tflite import TfliteFile
from edgeml.sources.trial_values import are_close, trial_input

__all__ = ["TfliteTrials"]

_EQUAL = 1e-2  # of the largest value: rounding moves a sum by far less, and another sample by more

Arrays = dict[int, np.ndarray]
"""Inputs and outputs by the numbers of their tensors."""


class TfliteTrials:
    """Runs of a model on seeded random inputs, small whole numbers among them.

    Args:
        data: The file.
        file: Its parsed contents.
    """

    def __init__(self, data: bytes, file: TfliteFile) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter, self._file = Interpreter(model_content=data, num_threads=1), file

    def run(self, sizes: Mapping[str, int], seed: int = 0) -> Arrays:
        """Return inputs and outputs of a run.

        Args:
            sizes: Numbers for dynamic sizes, by ``INPUT.AXIS``; those of the file for others.
            seed: Seed of the inputs.

        Raises:
            ValueError: LiteRT does not run the model at these sizes.
            RuntimeError: Likewise.
        """
        signature, inputs = self._file.signature, {}
        # The order of the interpreter is that of the graph; a signature may have another, by the same numbers.
        for spec, place in zip(signature.inputs, self._file.tensors, strict=False):
            shape = [sizes.get(f"{spec.name}.{axis}", size or 1) for axis, size in enumerate(spec.shape)]
            is_quantized = spec.quantization is not None
            inputs[place] = trial_input(spec.name, shape, spec.dtype, seed, is_quantized=is_quantized)
        return self._run(inputs)

    def has_batch(self) -> bool:
        """Return whether dynamic first sizes of inputs act as a batch, or are a batch of 1 that cannot be changed.

        In a batch the answer for a sample is that for the sample alone.
        """
        specs, places = self._file.signature.inputs, self._file.tensors[: len(self._file.signature.inputs)]
        free = {place: spec for place, spec, axes in zip(places, specs, self._file.dynamic, strict=False) if 0 in axes}
        try:
            pair = self.run({f"{spec.name}.0": 2 for spec in free.values()})
        except (ValueError, RuntimeError):
            return True
        first, second = (
            self._run({place: pair[place][row : row + 1] if place in free else pair[place] for place in places})
            for row in (0, 1)
        )
        outputs = self._file.tensors[len(specs) :]
        return all(_is_batched(pair[place], first[place], second[place]) for place in outputs)

    def _run(self, inputs: Arrays) -> Arrays:
        interpreter = self._interpreter
        for place, array in inputs.items():
            interpreter.resize_tensor_input(place, array.shape, strict=False)
        interpreter.allocate_tensors()
        for place, array in inputs.items():
            interpreter.set_tensor(place, array)
        interpreter.invoke()
        return inputs | {place: interpreter.get_tensor(place) for place in self._file.tensors[len(inputs) :]}


def _is_batched(pair: np.ndarray, first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether an output of two samples has the answers for each alone, or depends on neither, as anchors."""
    if pair.shape == first.shape == second.shape:
        return are_close(pair, first, _EQUAL) and are_close(pair, second, _EQUAL)
    fits = pair.shape == (2, *first.shape[1:])
    return fits and are_close(pair[:1], first, _EQUAL) and are_close(pair[1:], second, _EQUAL)
