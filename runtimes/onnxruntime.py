"""onnxruntime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.errors import MissingDependencyError, TargetError
from edgeml.core.machine import installed_version

from .base import BaseSession
from .handle import FreeHandle, Handle

__all__ = ["OnnxRuntimeSession"]

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
    "tensor(string)": "string",
}


class OnnxRuntimeSession(BaseSession):
    """An ONNX artifact on onnxruntime's CPU provider. Its documentation is `BaseSession`'s."""

    engine: ClassVar[str] = "onnxruntime"
    family: ClassVar[str] = "ort"
    _failures: ClassVar[tuple[type[Exception], ...]] = (Exception,)  # its own have no base of their own

    @property
    def engine_version(self) -> str:
        """Version of onnxruntime."""
        return installed_version(self.engine) or "unknown"

    def _open(self, data: bytes, needs: Needs, threads: int) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running an .onnx artifact", "onnx") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors: they are raised as well
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            raise TargetError(
                f"onnxruntime {self.engine_version} cannot load the artifact, which needs "
                f"{needs.engine_version} or newer: {error}"
            ) from error
        self._shrinking = onnxruntime.RunOptions()  # else its arena keeps the memory of the largest batch it saw
        self._shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._check("input", self.signature.inputs, self._session.get_inputs())
        self._check("output", self.signature.outputs, self._session.get_outputs())
        self._inputs = [spec.name for spec in self.signature.inputs]
        self._outputs = [spec.name for spec in self.signature.outputs]

    def _check(self, kind: Any, specs: Any, found: Any) -> None:
        by_name = {node.name: node for node in found}
        if sorted(by_name) != sorted(spec.name for spec in specs):
            raise TargetError(
                f"onnxruntime finds the {kind}s {sorted(by_name)} in the artifact, and "
                f"{sorted(spec.name for spec in specs)} are declared."
            )
        for spec in specs:
            node = by_name[spec.name]
            shape = tuple(size if isinstance(size, int) else None for size in node.shape)
            self._agree(kind, spec, shape, _DTYPES.get(node.type, node.type))

    def _handle(self, batch: int | None, threads: int) -> Handle:  # noqa: ARG002 - the session has them
        shapes = [(batch, *spec.shape[1:]) for spec in (*self.signature.inputs, *self.signature.outputs)]
        text = any(spec.dtype == "string" for spec in (*self.signature.inputs, *self.signature.outputs))
        if text or batch != 1 or any(size is None for shape in shapes for size in shape):
            return FreeHandle(self._call)
        return self._bound_handle(shapes)

    def _bound_handle(self, shapes: list[Any]) -> Handle:
        """Memory that onnxruntime reads from and writes to without another copy."""
        from onnxruntime import OrtValue

        session, binding = self._session, self._session.io_binding()
        specs = (*self.signature.inputs, *self.signature.outputs)
        arrays = [np.zeros(shape, spec.dtype) for shape, spec in zip(shapes, specs, strict=True)]
        values = [OrtValue.ortvalue_from_numpy(array) for array in arrays]
        count = len(self._inputs)
        for name, value in zip(self._inputs, values[:count], strict=True):
            binding.bind_ortvalue_input(name, value)
        for name, value in zip(self._outputs, values[count:], strict=True):
            binding.bind_ortvalue_output(name, value)
        return Handle(arrays[:count], arrays[count:], lambda: session.run_with_iobinding(binding), keep=values)

    def _call(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        options = self._shrinking if len(values[0]) > self._batch else None
        outputs = self._session.run(self._outputs, dict(zip(self._inputs, values, strict=True)), options)
        return [np.asarray(output).astype(str) if np.asarray(output).dtype == object else output for output in outputs]

    def _close(self) -> None:
        del self._session
