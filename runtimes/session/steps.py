"""Artifacts with a state: samples are steps of a sequence, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import EngineAdapter, EngineInstance
from edgeml.core.errors import TargetError
from edgeml.core.integer_grid import requantize, zeros
from edgeml.core.system.locks import ForkSafeLock
from edgeml.core.tensors import Signature, TensorSpec

from .batching import concatenate, empty_outputs, encode_span
from .executor import Check
from .io_conversion import to_source
from .pool import closed_error
from .unbatched import batched_instance

__all__ = ["StepScheduler", "has_state"]

_VARIABLES = "VAR_HANDLE"  # the operator of TFLite models that keep variables between calls
_PART = 4096  # steps between reports of progress


def has_state(signature: Signature, needs: Needs) -> bool:
    """Return whether an artifact has a state: as inputs and outputs, or in variables of its engine."""
    return any(spec.state for spec in signature.inputs) or _VARIABLES in needs.operators


class StepScheduler:
    """Runs samples as consecutive steps, in place of a `BatchScheduler`.

    Args:
        adapter: The artifact. The session closes it.
        signature: Signature of the artifact, with the tensors of its state.
        threads: Cores that one step may use.
        continues: Whether a call continues after the steps of the last one. Otherwise each begins a new sequence.

    Attributes:
        unit: Batch size of the engine's calls.
        workers: Number of calls that run at the same time.
        restarts: Whether each call begins a new sequence.
    """

    unit, workers = 1, 1

    def __init__(
        self, adapter: EngineAdapter, signature: Signature, *, threads: int | None, continues: bool = False
    ) -> None:
        self._adapter, self._signature, self._visible = adapter, signature, signature.visible
        self._outputs = {spec.name: spec for spec in signature.outputs}
        self._threads, self._continues, self.restarts = threads or 1, continues, not continues
        self._lock = ForkSafeLock()  # a signal handler may close the session in the thread that predicts
        self._instance: EngineInstance | None = None
        self._state: dict[str, np.ndarray] = {}
        self._closed = False

    def run(
        self,
        arrays: Mapping[str, np.ndarray],
        check: Check | None,
        *,
        batch_size: int | None = None,  # noqa: ARG002  # a step is one sample
        as_is: bool,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        """Run steps ``[steps, ...]`` by input name; see `BatchScheduler.run`."""
        inputs, specs = list(arrays.values()), self._visible.outputs
        count = len(inputs[0])
        parts: list[list[np.ndarray]] = []
        with self._lock:
            if not self._continues:
                self._begin()
            for begin in range(0, count, _PART):
                end = min(begin + _PART, count)
                values = encode_span(inputs, (begin, end), check, self._visible)
                parts += [self._step([value[i : i + 1] for value in values]) for i in range(end - begin)]
                if progress is not None:
                    progress(end)
        if not parts:
            return empty_outputs(self._visible, as_is=as_is)
        outputs = [concatenate(column) for column in zip(*parts, strict=True)]
        return {
            spec.name: output if as_is else to_source(output, spec) for spec, output in zip(specs, outputs, strict=True)
        }

    def run_together(self, arrays: Mapping[str, np.ndarray], check: Check | None) -> list[np.ndarray]:
        """Run steps as `run` does: they cannot share a call of the engine."""
        return list(self.run(arrays, check, as_is=True).values())

    def continued(self) -> StepScheduler:
        """Return a scheduler of the same artifact with a state of its own, which calls continue."""
        return StepScheduler(self._adapter, self._signature, threads=self._threads, continues=True)

    def reset(self) -> None:
        """Begin a new sequence, from the initial state."""
        with self._lock:
            self._begin()

    def raise_translated(self, error: Exception) -> NoReturn:
        """Translate the engine's exception to an EdgemlError and raise it."""
        known = self._adapter.translate(error)
        raise known from (None if known is error else error)

    def close(self) -> None:
        """Release the engine's instance, after the call of another thread."""
        with self._lock:
            self._closed, self._instance = True, None

    def _begin(self) -> None:
        self._state = {spec.name: _initial(spec) for spec in self._signature.inputs if spec.state}
        if not self._state:  # in variables of the engine, which only a new instance clears
            self._instance = None

    def _step(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        if self._closed:
            raise closed_error()
        samples = iter(values)
        specs = self._signature.inputs
        try:
            if self._instance is None:
                self._instance = batched_instance(self._adapter, self._signature, 1, self._threads)
            if not self._state and any(spec.state for spec in specs):
                self._begin()
            everything = [self._state[spec.name] if spec.state else next(samples) for spec in specs]
            outputs = self._instance(everything)
        except self._adapter.errors as error:
            self.raise_translated(error)
        by_name = {spec.name: output for spec, output in zip(self._signature.outputs, outputs, strict=True)}
        for spec in specs:
            if spec.state:
                state = by_name.pop(spec.state)
                if state.shape != self._state[spec.name].shape:
                    raise TargetError(
                        f"The artifact returns the state '{spec.state}' of the shape {list(state.shape)}, expected "
                        f"{list(self._state[spec.name].shape)}."
                    )
                following = self._outputs[spec.state]
                self._state[spec.name] = requantize(state, following.quantization, spec.quantization, spec.dtype)
        return list(by_name.values())


def _initial(spec: TensorSpec) -> np.ndarray:
    return zeros([size or 1 for size in spec.shape], spec.quantization, spec.dtype)
