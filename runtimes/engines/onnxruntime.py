"""onnxruntime, on any of its execution providers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import (
    ArrayInstance,
    EngineAdapter,
    EngineInstance,
    TinyModel,
    check_tensor,
    is_older,
    is_out_of_memory,
)
from edgeml.core.errors import EdgemlError, InputError, MissingDependencyError, TargetError
from edgeml.core.onnxruntime_errors import plain_reason
from edgeml.core.placement import OperatorCount
from edgeml.core.tensors import Signature
from edgeml.core.texts import text_array

from ..session.batching import default_batch
from .onnxruntime_providers import PROVIDERS, open_on, operators, operators_run, provider_obstacle

__all__ = ["OnnxRuntimeAdapter"]

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": "string",
}

_MANY = 8  # batches larger than this many default batches release their memory after the run
_SMALL_BYTES = 2**24  # up to this size of the artifact each thread has a session of its own


class OnnxRuntimeAdapter(EngineAdapter):
    """An ONNX artifact on one of onnxruntime's providers."""

    name: ClassVar[str] = "onnxruntime"
    family = "ort"
    targets: ClassVar[tuple[str, ...]] = tuple(PROVIDERS)
    runs_free_sizes: ClassVar[bool] = True
    errors: ClassVar[tuple[type[Exception], ...]] = (Exception,)  # its exceptions do not have a common base

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:
        """Return an error if the provider cannot be used on this machine."""
        return (
            provider_obstacle(target) if target != "cpu" else None
        )  # part of every build: loading the module is not needed

    @classmethod
    def tiny_model(cls, target: str) -> TinyModel | None:
        """Return a model of one operator; None for the CPU."""
        if target == "cpu":
            return None
        from .tiny_models import tiny_onnx

        return tiny_onnx()

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running an .onnx artifact", "onnx") from error
        self.signature, self.target = signature, target
        is_small = len(data) <= _SMALL_BYTES
        self._data = data if is_small or target != "cpu" else b""  # for further sessions and `placement`
        self._shared = target != "cpu" or not is_small
        self._spare = threads == 1  # whether the first session is still free to run batches
        try:
            self._session, self.runs_all_operators = open_on(onnxruntime, data, lambda: _options(threads), target)
        except TargetError:
            raise
        except Exception as error:  # onnxruntime's exceptions do not have a common base
            old = is_older(self.version, needs.engine_version)
            version = f", which needs {needs.engine_version} or newer" if old else ""
            raise TargetError(
                f"onnxruntime {self.version} cannot load the artifact{version}: {plain_reason(error)}.",
                fix="pip install --upgrade onnxruntime" if old else "choose another artifact or target.",
                log=str(error),
            ) from error
        self._shrinking = onnxruntime.RunOptions()  # without it the arena keeps the memory of the largest batch
        self._shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._check("input", signature.inputs, self._session.get_inputs())
        self._check("output", signature.outputs, self._session.get_outputs())
        self._inputs = [spec.name for spec in signature.inputs]
        self._outputs = [spec.name for spec in signature.outputs]
        self._texts = [spec.dtype == "string" for spec in signature.outputs]  # returned as Python objects
        self._needs = needs
        self._many = _MANY * default_batch(signature, needs)

    @property
    def version(self) -> str:
        """Version of onnxruntime, from any of its distributions."""
        import onnxruntime

        return str(onnxruntime.__version__)

    def _check(self, kind: Any, specs: Any, nodes: Any) -> None:
        by_name = {node.name: node for node in nodes}
        if sorted(by_name) != sorted(spec.name for spec in specs):
            raise TargetError(
                f"{kind}s of the artifact: got {sorted(by_name)} from onnxruntime, expected "
                f"{sorted(spec.name for spec in specs)}."
            )
        for spec in specs:
            node = by_name[spec.name]
            shape = tuple(size if isinstance(size, int) else None for size in node.shape)
            check_tensor(self.name, kind, spec, shape, _DTYPES.get(node.type, node.type))

    def sized(self, signature: Signature, *, shared: bool) -> OnnxRuntimeAdapter:
        """Return an adapter on the same session of onnxruntime, which runs any sizes."""
        adapter = copy.copy(self)
        adapter.signature = signature
        adapter._shared = shared or self._shared  # noqa: SLF001  # of a copy
        adapter._many = _MANY * default_batch(signature, self._needs)  # noqa: SLF001  # of a copy
        return adapter

    def instance(self, batch: int | None, threads: int) -> EngineInstance:  # noqa: ARG002 - the session's own
        """Bind memory where all sizes are fixed; else pass the caller's arrays."""
        specs = (*self.signature.inputs, *self.signature.outputs)
        text = any(spec.dtype == "string" for spec in specs)
        bindable = not text and self.target == "cpu" and all(None not in spec.shape[1:] for spec in specs)
        bindable &= not set(self._inputs) & set(self._outputs)  # an input that is an output is not written
        if bindable and batch is not None:
            return self._bound_instance(batch)
        session = self._session if batch is not None or self._shared else self._new_session()
        put = partial(self._put, session, session.io_binding()) if bindable else None
        return ArrayInstance(partial(self._call, session), put)

    def _new_session(self) -> Any:
        """Return a session for one thread: threads that share one evict each other's memory from the cache."""
        if self._spare:
            self._spare = False
            return self._session
        import onnxruntime

        return open_on(onnxruntime, self._data, lambda: _options(1), self.target)[0]

    def _bound_instance(self, batch: int) -> EngineInstance:
        """Return an instance whose memory onnxruntime reads and writes without a copy."""
        from onnxruntime import OrtValue

        session, binding = self._session, self._session.io_binding()
        specs = (*self.signature.inputs, *self.signature.outputs)
        shapes = [spec.file_shape if spec.unbatched else (batch, *spec.shape[1:]) for spec in specs]
        arrays = [
            np.zeros([size or 1 for size in shape], spec.dtype) for shape, spec in zip(shapes, specs, strict=True)
        ]
        values = [OrtValue.ortvalue_from_numpy(array) for array in arrays]
        count = len(self._inputs)
        for name, value in zip(self._inputs, values[:count], strict=True):
            binding.bind_ortvalue_input(name, value)
        for name, value in zip(self._outputs, values[count:], strict=True):
            binding.bind_ortvalue_output(name, value)
        return EngineInstance(arrays[:count], arrays[count:], lambda: session.run_with_iobinding(binding), keep=values)

    def _call(self, session: Any, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        options = self._options(values[0].shape[0] if values[0].ndim else 1)
        outputs: list[Any] = session.run(self._outputs, dict(zip(self._inputs, values, strict=True)), options)
        return [_text_output(value) if text else value for value, text in zip(outputs, self._texts, strict=True)]

    def _put(self, session: Any, binding: Any, values: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> None:
        """Read inputs from the caller's memory, and write outputs to it."""
        arrays = [np.ascontiguousarray(value) for value in values]
        for name, value in zip(self._inputs, arrays, strict=True):
            binding.bind_input(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)
        for name, place in zip(self._outputs, places, strict=True):
            binding.bind_output(name, "cpu", 0, place.dtype, place.shape, place.ctypes.data)
        session.run_with_iobinding(binding, self._options(len(values[0])))

    def _options(self, count: int) -> Any:
        """Return the run options for a batch of `count` samples."""
        return self._shrinking if count > self._many else None

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators by execution provider."""
        if self.target == "cpu":
            return operators(self._session, self.version)
        import onnxruntime

        inputs = {
            spec.name: np.zeros([size or 1 for size in spec.file_shape], "U1" if spec.dtype == "string" else spec.dtype)
            for spec in self.signature.inputs
        }
        try:
            return operators_run(onnxruntime, self._data, _options(1), self.target, inputs)
        except Exception as error:  # as above
            raise self.translate(error) from error

    def translate(self, error: Exception) -> EdgemlError:
        """Translate an exception of onnxruntime, without its own codes."""
        if isinstance(error, EdgemlError):
            return error
        if is_out_of_memory(error):
            return TargetError(
                f"onnxruntime {self.version}: not enough memory to run the artifact.",
                fix="use a smaller batch_size, or stream the samples.",
                log=str(error),
            )
        return TargetError(
            f"onnxruntime {self.version} failed to run the artifact: {plain_reason(error)}.", log=str(error)
        )

    def close(self) -> None:
        """Release onnxruntime's session."""
        del self._session
        self._data = b""


def _text_output(values: np.ndarray) -> np.ndarray:
    """Convert an array of Python's texts to NumPy's."""
    if values.size == 1:
        return values.astype(str)
    try:
        return text_array(values.reshape(-1).tolist(), "output").reshape(values.shape)
    except InputError as error:
        raise TargetError(f"The artifact returns texts of very different lengths: {error.message}") from error


def _options(threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, and not to be printed as well
    return options
