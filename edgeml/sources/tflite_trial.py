"""Trial runs of a TFLite model, for what its file does not declare: sizes of outputs, and whether it has a batch."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from edgeml.core.formats.tflite import TfliteFile

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
            rng = np.random.default_rng([seed, zlib.crc32(spec.name.encode())])
            inputs[place] = _random(rng, shape, spec.dtype, is_quantized=spec.quantization is not None)
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
        for row in (slice(0, 1), slice(1, 2)):
            alone = self._run({place: pair[place][row] if place in free else pair[place] for place in places})
            for place in self._file.tensors[len(specs) :]:
                if pair[place].shape[:1] != (2,) or not _close(pair[place][row], alone[place]):
                    return False
        return True

    def _run(self, inputs: Arrays) -> Arrays:
        interpreter = self._interpreter
        for place, array in inputs.items():
            interpreter.resize_tensor_input(place, array.shape, strict=False)
        interpreter.allocate_tensors()
        for place, array in inputs.items():
            interpreter.set_tensor(place, array)
        interpreter.invoke()
        return {place: interpreter.get_tensor(place) for place in self._file.tensors}


def _random(rng: np.random.Generator, shape: list[int], dtype: str, *, is_quantized: bool) -> np.ndarray:
    if dtype.startswith("float"):
        return np.asarray(rng.standard_normal(shape)).astype(dtype)
    if is_quantized:
        limits = np.iinfo(dtype)
        return np.asarray(rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True))
    return np.asarray(rng.integers(0, 2, shape)).astype(dtype)


def _close(first: np.ndarray, second: np.ndarray) -> bool:
    if first.shape != second.shape:
        return False
    largest = max(1.0, float(np.abs(second.astype(np.float64)).max(initial=0.0)))
    difference = np.abs(first.astype(np.float64) - second.astype(np.float64))
    return bool((difference <= _EQUAL * largest).all())
