"""Trial runs of an ONNX model, for what its graph does not declare: sizes of outputs, and whether it has a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeml.core.onnxruntime_errors import plain_reason
from edgeml.core.tensors import TensorSpec
from edgeml.sources.trial_values import are_close, trial_input

__all__ = ["TrialError", "TrialRuns"]

_SEED = 0
_EQUAL = 1e-3  # of the largest value: rounding moves a sum of floats by far less, and another sample by more


class TrialError(Exception):
    """The model does not run on trial inputs.

    Args:
        reason: Reason of the engine's error.
    """


class TrialRuns:
    """Runs of a model on seeded random inputs, small whole numbers among them.

    Args:
        model: The `onnx.ModelProto`.
    """

    def __init__(self, model: Any) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions do not have a common base
            raise TrialError(plain_reason(error)) from error

    def outputs(self, inputs: Sequence[TensorSpec], batch: int = 1, seed: int = _SEED) -> list[np.ndarray]:
        """Return the outputs for random inputs.

        Args:
            inputs: The inputs of the model, with None for a free batch.
            batch: Size of a free batch.
            seed: Seed of the random inputs.

        Raises:
            TrialError: The model does not run on them.
        """
        try:
            return self._run(inputs, [_random(spec, batch, seed) for spec in inputs])
        except TrialError:
            # Some models divide by whole numbers, or count by them from 1.
            return self._run(inputs, [_random(spec, batch, seed, least=1) for spec in inputs])

    def has_batch(self, inputs: Sequence[TensorSpec]) -> bool:
        """Return whether the first axis of a model of fixed sizes is a batch, as far as trial runs show.

        In a batch the answer for a sample depends neither on the others nor on its position.

        Args:
            inputs: The inputs of the model.

        Raises:
            TrialError: The model does not run on random inputs.
        """
        mixed = [_random(spec, 1, _SEED) for spec in inputs]
        alike = [np.repeat(array[:1], len(array), axis=0) for array in mixed]
        pairs = list(zip(self._run(inputs, mixed), self._run(inputs, alike), strict=True))
        return all(
            are_close(output[:1], same[:1], _EQUAL) and are_close(same, same[:1], _EQUAL) for output, same in pairs
        )

    def _run(self, inputs: Sequence[TensorSpec], values: Sequence[np.ndarray]) -> list[np.ndarray]:
        feeds = {spec.name: value for spec, value in zip(inputs, values, strict=True)}
        try:
            return [np.asarray(output) for output in self._session.run(None, feeds)]
        except Exception as error:  # as above
            raise TrialError(plain_reason(error)) from error


def _random(spec: TensorSpec, batch: int, seed: int, least: int = 0) -> np.ndarray:
    shape = [batch if size is None else size for size in spec.file_shape]
    return trial_input(spec.name, shape, spec.dtype, seed, least=least)
