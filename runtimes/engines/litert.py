"""LiteRT on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import ArrayInstance, EngineAdapter, EngineInstance, check_tensor
from edgeml.core.errors import MissingDependencyError, TargetError
from edgeml.core.placement import OperatorCount, count_operators
from edgeml.core.tensors import Quantization, Signature, TensorSpec

from .tflite_interpreter import check_reshapes, delegated, memory, tensors

__all__ = ["LiteRTAdapter"]


class LiteRTAdapter(EngineAdapter):
    """A TFLite artifact on LiteRT's interpreter with XNNPACK."""

    name: ClassVar[str] = "ai-edge-litert"
    family = "xnnpack"
    resizes: ClassVar[bool] = True
    runs_free_sizes: ClassVar[bool] = True

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:  # noqa: ARG002  # each adapter has one target
        self.signature, self._is_sized = signature, False
        self._data = data
        try:
            interpreter = self._interpreter(threads)
            interpreter.allocate_tensors()
            inputs, outputs = tensors(interpreter)
        except (ValueError, RuntimeError, TypeError, KeyError) as error:  # the last two are raised on corrupt files
            raise TargetError(
                f"{self.name} {self.version} cannot load the artifact, which needs TensorFlow Lite "
                f"{needs.engine_version} or newer: {error}",
                fix=f"pip install --upgrade {self.name}; or choose another artifact.",
            ) from error
        self._inputs = [self._index("input", spec, inputs) for spec in signature.inputs]
        self._outputs = [self._index("output", spec, outputs) for spec in signature.outputs]
        self._unused = [(threads, interpreter)]

    @staticmethod
    def _module() -> Any:
        """Import the interpreter's module."""
        try:
            from ai_edge_litert import interpreter
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running a .tflite artifact", "litert") from error
        return interpreter

    def _delegates(self) -> list[Any]:
        """Return delegates that precede XNNPACK."""
        return []

    def _interpreter(self, threads: int) -> Any:
        """Create an interpreter for the artifact."""
        return self._module().Interpreter(
            model_content=self._data, num_threads=threads, experimental_delegates=self._delegates()
        )

    def _index(self, kind: Literal["input", "output"], spec: TensorSpec, details: dict[str, Any]) -> int:
        if spec.name not in details:
            raise TargetError(f"{self.name}: {kind} '{spec.name}' not found in the artifact, got {sorted(details)}.")
        tensor = details[spec.name]
        scale, zero_point = tensor["quantization"]
        check_tensor(
            self.name,
            kind,
            spec,
            tuple(
                None if declared == -1 and axis < len(spec.file_shape) and spec.file_shape[axis] is None else int(size)
                for axis, (size, declared) in enumerate(zip(tensor["shape"], tensor["shape_signature"], strict=True))
            ),
            np.dtype(tensor["dtype"]).name,
            Quantization(float(scale), int(zero_point)) if scale else None,
        )
        return int(tensor["index"])

    def sized(self, signature: Signature, *, shared: bool) -> LiteRTAdapter:  # noqa: ARG002  # each has interpreters
        """Return an adapter whose interpreters have inputs of these sizes."""
        adapter = copy.copy(self)
        adapter.signature = signature
        adapter._is_sized, adapter._unused = True, []  # noqa: SLF001  # of a copy
        return adapter

    def instance(self, batch: int | None, threads: int) -> EngineInstance:
        """Create an interpreter for one thread."""
        interpreter = self._allocated_interpreter(batch, threads)
        if any(not spec.file_shape for spec in (*self.signature.inputs, *self.signature.outputs)):
            return ArrayInstance(partial(self._run_copying, interpreter))  # scalars are given as copies
        try:
            inputs = [memory(interpreter, index) for index in self._inputs]
            outputs = [memory(interpreter, index) for index in self._outputs]
        except ValueError:  # a dynamic tensor, allocated during the run
            return ArrayInstance(partial(self._run_copying, interpreter))
        return EngineInstance(inputs, outputs, interpreter.invoke)

    def _allocated_interpreter(self, batch: int | None, threads: int) -> Any:
        """Return the interpreter created on opening, else a new one."""
        resized = batch != self.signature.inputs[0].shape[0]
        if not resized and self._unused and self._unused[0][0] == threads:
            return self._unused.pop()[1]
        interpreter = self._interpreter(threads)
        if resized:
            check_reshapes(interpreter)
        if resized or self._is_sized:
            for index, spec in zip(self._inputs, self.signature.inputs, strict=True):
                shape = spec.file_shape if spec.unbatched else (batch, *spec.shape[1:])
                interpreter.resize_tensor_input(index, shape)
        interpreter.allocate_tensors()
        return interpreter

    def _run_copying(self, interpreter: Any, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        for index, value in zip(self._inputs, values, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in self._outputs]

    def close(self) -> None:
        """Release the model."""
        self._unused.clear()
        self._data = b""

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators that run on XNNPACK, and the others."""
        return count_operators(
            (kind, "XNNPACK" if is_delegated else "built-in kernels", True) for kind, is_delegated in self._delegated()
        )

    def _delegated(self) -> list[tuple[str, bool]]:
        """Return the kind of each operator, and whether the operator is delegated."""
        interpreter = self._interpreter(1)
        interpreter.allocate_tensors()
        return delegated(interpreter)
