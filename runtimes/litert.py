"""LiteRT on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.errors import MissingDependencyError, TargetError
from edgeml.core.machine import installed_version
from edgeml.core.placement import Placed, placed
from edgeml.core.tensors import Quantization, TensorSpec, plain_names

from .base import BaseSession
from .handle import FreeHandle, Handle

__all__ = ["LiteRTSession"]


class LiteRTSession(BaseSession):
    """A TFLite artifact on LiteRT's interpreter with XNNPACK. Its documentation is `BaseSession`'s."""

    engine: ClassVar[str] = "ai-edge-litert"
    family = "xnnpack"
    resizes: ClassVar[bool] = True

    @property
    def engine_version(self) -> str:
        """The engine's version."""
        return installed_version(self.engine) or "unknown"

    @staticmethod
    def _module() -> Any:
        """The engine's module of the interpreter."""
        try:
            from ai_edge_litert import interpreter
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running a .tflite artifact", "litert") from error
        return interpreter

    def _delegates(self) -> list[Any]:
        """What takes operators before XNNPACK does."""
        return []

    def _interpreter(self, threads: int) -> Any:
        """A new interpreter of the artifact."""
        return self._module().Interpreter(
            model_content=self._data, num_threads=threads, experimental_delegates=self._delegates()
        )

    def _open(self, data: bytes, needs: Needs, threads: int) -> None:
        self._data = data
        try:
            interpreter = self._interpreter(threads)
            interpreter.allocate_tensors()
            inputs, outputs = _tensors(interpreter)
        except (ValueError, RuntimeError, TypeError, KeyError) as error:  # the latter two of damaged files
            raise TargetError(
                f"{self.engine} {self.engine_version} cannot load the artifact, which needs TensorFlow Lite "
                f"{needs.engine_version} or newer: {error}",
                fix=f"pip install --upgrade {self.engine}",
            ) from error
        self._inputs = [self._index("input", spec, inputs) for spec in self.signature.inputs]
        self._outputs = [self._index("output", spec, outputs) for spec in self.signature.outputs]
        self._opened = [(threads, interpreter)]

    def _index(self, kind: Literal["input", "output"], spec: TensorSpec, details: dict[str, Any]) -> int:
        if spec.name not in details:
            raise TargetError(f"{self.engine} finds no {kind} '{spec.name}' in the artifact, but {sorted(details)}.")
        found = details[spec.name]
        scale, zero_point = found["quantization"]
        self._agree(
            kind,
            spec,
            tuple(int(size) for size in found["shape"]),
            np.dtype(found["dtype"]).name,
            Quantization(float(scale), int(zero_point)) if scale else None,
        )
        return int(found["index"])

    def _handle(self, batch: int | None, threads: int) -> Handle:
        interpreter = self._made(batch, threads)
        try:
            inputs = [_memory(interpreter, index) for index in self._inputs]
            outputs = [_memory(interpreter, index) for index in self._outputs]
        except ValueError:  # a tensor that is given memory when its size is known
            return FreeHandle(lambda values: self._by_copies(interpreter, values))
        return Handle(inputs, outputs, interpreter.invoke)

    def _made(self, batch: int | None, threads: int) -> Any:
        """The interpreter that opening made, else a new one."""
        resized = batch != self.signature.inputs[0].shape[0]
        if not resized and self._opened and self._opened[0][0] == threads:
            return self._opened.pop()[1]
        interpreter = self._interpreter(threads)
        if resized:
            _check_reshapes(interpreter)
            for index, spec in zip(self._inputs, self.signature.inputs, strict=True):
                interpreter.resize_tensor_input(index, (batch, *spec.shape[1:]))
        interpreter.allocate_tensors()
        return interpreter

    def _by_copies(self, interpreter: Any, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        for index, value in zip(self._inputs, values, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in self._outputs]

    def _close(self) -> None:
        self._opened.clear()
        self._data = b""

    def _placed(self) -> tuple[Placed, ...]:
        return placed((kind, "XNNPACK" if taken else "built-in kernels", True) for kind, taken in self._delegated())

    def _delegated(self) -> list[tuple[str, bool]]:
        """Kind of each operator, and whether a delegate takes it."""
        interpreter = self._interpreter(1)
        interpreter.allocate_tensors()
        return _delegated(interpreter)


def _check_reshapes(interpreter: Any) -> None:
    """Raises ValueError where a shape with a batch of its own is built in: the interpreter would say so on stderr."""
    for node in interpreter._get_ops_details():  # noqa: SLF001 - nothing public tells of operators
        if node["op_name"] == "RESHAPE":
            shape = interpreter.get_tensor(node["inputs"][1]) if len(node["inputs"]) > 1 else np.empty(0)
            if not shape.size or shape[0] != -1:
                raise ValueError("a shape is built in")


class _View:
    """Tells numpy of an interpreter's memory, and keeps the interpreter."""

    def __init__(self, interpreter: Any, array: np.ndarray) -> None:
        self._interpreter = interpreter
        self.__array_interface__ = array.__array_interface__


def _memory(interpreter: Any, index: int) -> np.ndarray:
    """An array over a tensor's memory, which stays where it is until tensors are allocated anew.

    The interpreter refuses to run while an array of its own making is held; of this one it does not know.

    Raises:
        ValueError: The tensor has no memory yet.
    """
    return np.asarray(_View(interpreter, interpreter.tensor(index)()))


def _tensors(interpreter: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The interpreter's account of inputs and outputs, by the names that `core.tflite_file` gives them."""
    if interpreter.get_signature_list():
        runner = interpreter.get_signature_runner()
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        names = [*inputs, *outputs]
        if plain_names(names) == names:
            return inputs, outputs
    takes, gives = interpreter.get_input_details(), interpreter.get_output_details()
    names = plain_names(details["name"] for details in (*takes, *gives))
    return dict(zip(names, takes, strict=False)), dict(zip(names[len(takes) :], gives, strict=True))


def _delegated(interpreter: Any) -> list[tuple[str, bool]]:
    """Kind of each operator, and whether a delegate took it.

    A delegate's node stands for what lies between its inputs and its outputs; the nodes that it took stay listed.
    """
    nodes = interpreter._get_ops_details()  # noqa: SLF001  # the one account that there is
    delegates = [node for node in nodes if node["op_name"] == "DELEGATE"]
    operators = [node for node in nodes if node["op_name"] != "DELEGATE"]
    maker = {int(tensor): node for node in operators for tensor in node["outputs"]}
    taken: set[int] = set()
    for delegate in delegates:
        ends = set(map(int, delegate["inputs"]))
        left = list(map(int, delegate["outputs"]))
        while left:
            tensor = left.pop()
            node = None if tensor in ends else maker.get(tensor)
            if node is not None and node["index"] not in taken:
                taken.add(node["index"])
                left += map(int, node["inputs"])
    return [(node["op_name"], node["index"] in taken) for node in operators]
