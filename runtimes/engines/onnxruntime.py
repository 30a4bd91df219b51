"""onnxruntime, on any of its execution providers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.errors import EdgemlError, MissingDependencyError, TargetError
from edgeml.core.placement import Placed

from ..session.base import BaseSession
from ..session.instance import FreeHandle, Handle
from ..session.weak_method import loose
from .onnxruntime_providers import PROVIDERS, open_on, operators, operators_run, provider_obstacle

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

_MANY = 8  # times the usual batch: the memory for larger ones is not kept
_FEW_BYTES = 2**24  # up to this size of the artifact each worker has a session of its own


class OnnxRuntimeSession(BaseSession):
    """An ONNX artifact on one of onnxruntime's providers. Its documentation is `BaseSession`'s."""

    engine: ClassVar[str] = "onnxruntime"
    family = "ort"
    targets: ClassVar[tuple[str, ...]] = tuple(PROVIDERS)

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:
        """Why the provider cannot be used here."""
        return provider_obstacle(target) if target != "cpu" else None  # any build has that: nothing to load

    _failures: ClassVar[tuple[type[Exception], ...]] = (Exception,)  # its own have no base of their own

    @property
    def engine_version(self) -> str:
        """Version of onnxruntime, whichever distribution brings it."""
        import onnxruntime

        return str(onnxruntime.__version__)

    def _open(self, data: bytes, needs: Needs, threads: int) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running an .onnx artifact", "onnx") from error
        few = len(data) <= _FEW_BYTES
        self._data = data if few or self.target != "cpu" else b""  # for more sessions, and to tell of placement
        self._shared = self.target != "cpu" or not few
        self._spare = threads == 1  # whether this session is yet to serve batches
        try:
            self._session, self._alone = open_on(onnxruntime, data, lambda: _options(threads), self.target)
        except TargetError:
            raise
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            raise TargetError(
                f"onnxruntime {self.engine_version} cannot load the artifact, which needs "
                f"{needs.engine_version} or newer: {error}",
                fix="pip install --upgrade onnxruntime" if self.target == "cpu" else "take another artifact or target.",
            ) from error
        self._shrinking = onnxruntime.RunOptions()  # else its arena keeps the memory of the largest batch it saw
        self._shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._check("input", self.signature.inputs, self._session.get_inputs())
        self._check("output", self.signature.outputs, self._session.get_outputs())
        self._inputs = [spec.name for spec in self.signature.inputs]
        self._outputs = [spec.name for spec in self.signature.outputs]
        self._texts = [spec.dtype == "string" for spec in self.signature.outputs]  # which come as Python's objects

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
        bindable = not text and self.target == "cpu" and all(size is not None for _, *sizes in shapes for size in sizes)
        if bindable and batch is not None:
            return self._bound_handle(shapes)
        session = self._session if batch is not None or self._shared else self._of_its_own()
        put = partial(loose(self._put), session, session.io_binding()) if bindable else None
        return FreeHandle(partial(loose(self._call), session), put)

    def _of_its_own(self) -> Any:
        """A session for one thread alone: in one that threads share they take each other's memory out of the cache."""
        if self._spare:
            self._spare = False
            return self._session
        import onnxruntime

        return open_on(onnxruntime, self._data, lambda: _options(1), self.target)[0]

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

    def _call(self, session: Any, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        options = self._options(len(values[0]))
        outputs: list[Any] = session.run(self._outputs, dict(zip(self._inputs, values, strict=True)), options)
        return [value.astype(str) if text else value for value, text in zip(outputs, self._texts, strict=True)]

    def _put(self, session: Any, binding: Any, values: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> None:
        """Reads from the caller's memory, and writes to it."""
        given = [np.ascontiguousarray(value) for value in values]
        for name, value in zip(self._inputs, given, strict=True):
            binding.bind_input(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)
        for name, place in zip(self._outputs, places, strict=True):
            binding.bind_output(name, "cpu", 0, place.dtype, place.shape, place.ctypes.data)
        session.run_with_iobinding(binding, self._options(len(values[0])))

    def _options(self, count: int) -> Any:
        """How to run so many samples."""
        return self._shrinking if count > _MANY * self._batches.free else None

    def _placed(self) -> tuple[Placed, ...]:
        if self.target == "cpu":
            return operators(self._session, self.engine_version)
        import onnxruntime

        inputs = {
            spec.name: np.zeros([size or 1 for size in spec.shape], "U1" if spec.dtype == "string" else spec.dtype)
            for spec in self.signature.inputs
        }
        try:
            return operators_run(onnxruntime, self._data, _options(1), self.target, inputs)
        except Exception as error:  # noqa: BLE001  # as above
            self._fail(error)

    def _close(self) -> None:
        del self._session
        self._data = b""


def _options(threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: they are raised as well
    return options
