"""LiteRT on the CPU."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.errors import MissingDependencyError, TargetError
from edgeml.core.machine import installed_version
from edgeml.core.placement import Placed, placed
from edgeml.core.tensors import Quantization, TensorSpec, plain_names

from .base import BaseSession

__all__ = ["LiteRTSession", "delegated"]


class LiteRTSession(BaseSession):
    """A TFLite artifact on LiteRT's interpreter with XNNPACK. Its documentation is `BaseSession`'s."""

    engine: ClassVar[str] = "ai-edge-litert"
    family: ClassVar[str] = "xnnpack"

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

    def _open(self, data: bytes, needs: Needs, threads: int) -> None:
        module, delegates = self._module(), self._delegates()
        try:
            self._interpreter = module.Interpreter(
                model_content=data, num_threads=threads, experimental_delegates=delegates
            )
            self._interpreter.allocate_tensors()
            inputs, outputs = _tensors(self._interpreter)
        except (ValueError, RuntimeError, TypeError, KeyError) as error:  # the latter two of damaged files
            raise TargetError(
                f"{self.engine} {self.engine_version} cannot load the artifact, which needs TensorFlow Lite "
                f"{needs.engine_version} or newer: {error}",
                fix=f"pip install --upgrade {self.engine}",
            ) from error
        self._inputs = [self._index("input", spec, inputs) for spec in self.signature.inputs]
        self._outputs = [self._index("output", spec, outputs) for spec in self.signature.outputs]

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

    def _invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        try:
            for index, value in zip(self._inputs, inputs, strict=True):
                self._interpreter.set_tensor(index, value)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._outputs]
        except (ValueError, RuntimeError) as error:
            raise TargetError(f"{self.engine} {self.engine_version} failed to run the artifact: {error}") from error

    def _placed(self) -> tuple[Placed, ...]:
        return placed(
            (kind, "XNNPACK" if taken else "built-in kernels", True) for kind, taken in delegated(self._interpreter)
        )


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


def delegated(interpreter: Any) -> list[tuple[str, bool]]:
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
