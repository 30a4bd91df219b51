"""TFLite Micro on the host: what a microcontroller answers, and the memory that it needs for it."""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Needs
from edgeml.core.errors import MissingDependencyError, TargetError
from edgeml.core.machine import installed_version
from edgeml.core.placement import Placed, placed
from edgeml.core.recipe import Precision
from edgeml.core.tensors import Quantization, plain_names
from edgeml.core.worker import Worker, WorkerCrash

from .base import BaseSession
from .handle import FreeHandle, Handle

__all__ = ["MicroInterpreter", "MicroModel", "MicroSettings", "TfliteMicroSession"]

_AMPLE_BYTES = 64 * 2**20
_ALIGNMENT_BYTES = 16


class MicroSettings(Struct, frozen=True):
    """Which model."""

    data: bytes


class _Tensor(Struct, frozen=True):
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None


class MicroModel(Struct, frozen=True):
    """What the interpreter says of a model: its tensors in its own order, and its operators."""

    inputs: tuple[_Tensor, ...]
    outputs: tuple[_Tensor, ...]
    operators: tuple[str, ...]


class TfliteMicroSession(BaseSession):
    """A TFLite artifact on TFLite Micro's reference kernels. Its documentation is `BaseSession`'s.

    The interpreter lives in a child process, since some models make it abort.
    """

    engine: ClassVar[str] = "tflite-micro"
    family = "tflm"
    targets: ClassVar[tuple[str, ...]] = ("micro",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "int8", "int16x8")

    @property
    def engine_version(self) -> str:
        """Version of tflite-micro."""
        return installed_version(self.engine) or "unknown"

    @property
    def arena_bytes(self) -> int:
        """The smallest arena that the model can be run in, found by trying, to 16 bytes.

        Of this host, where pointers have 64 bits: a microcontroller needs less.
        """
        self._check_open()
        return self._call("arena_bytes", returns=int)

    def _open(self, data: bytes, needs: Needs, threads: int) -> None:  # noqa: ARG002  # it has one thread
        folder = tempfile.TemporaryDirectory(prefix="edgeml-")
        self._child = Worker(f"{MicroInterpreter.__module__}:MicroInterpreter", MicroSettings(data), Path(folder.name))
        self._free = weakref.finalize(self, _close, self._child, folder)
        self._calls = threading.Lock()
        try:
            model = self._call("model", returns=MicroModel)
        except TargetError as error:
            self._free()
            printed = error.log.partition("Traceback")[0].split("\n")[0].strip()
            if printed:  # the interpreter says why on stderr alone
                raise TargetError(f"{error.message}: {printed}", fix=error.fix, log=error.log) from error
            raise
        except BaseException:
            self._free()
            raise
        self._operators = model.operators
        self._takes = self._order("input", model.inputs)
        self._gives = self._order("output", model.outputs)

    def _order(self, kind: Any, found: tuple[_Tensor, ...]) -> list[int]:
        """The place in the artifact's signature of each tensor of the interpreter."""
        specs = self.signature.inputs if kind == "input" else self.signature.outputs
        by_name = {tensor.name: tensor for tensor in found}
        for spec in specs:
            if spec.name not in by_name:
                raise TargetError(
                    f"{self.engine} finds no {kind} '{spec.name}' in the artifact, but {sorted(by_name)}."
                )
            tensor = by_name[spec.name]
            self._agree(kind, spec, tensor.shape, tensor.dtype, tensor.quantization)
        names = [spec.name for spec in specs]
        return [names.index(tensor.name) for tensor in found]

    def _handle(self, batch: int | None, threads: int) -> Handle:  # noqa: ARG002  # there is one child
        return FreeHandle(self._answer)

    def _answer(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        found = self._call("invoke", [values[place] for place in self._takes], returns=list[np.ndarray])
        return [found[self._gives.index(place)] for place in range(len(found))]

    def _close(self) -> None:
        self._free()

    def _placed(self) -> tuple[Placed, ...]:
        return placed((kind, "TFLite Micro", True) for kind in self._operators)

    def _call(self, method: str, *arguments: object, returns: Any) -> Any:
        try:
            with self._calls:
                try:
                    return self._child.call(method, *arguments, returns=returns)
                except WorkerCrash:  # a child ends with the thread that started it: only the second time counts
                    return self._child.call(method, *arguments, returns=returns)
        except WorkerCrash as error:
            raise TargetError(
                f"TFLite Micro {self.engine_version} aborts on the artifact: {error.message}", log=error.log
            ) from error


def _close(child: Worker, folder: tempfile.TemporaryDirectory[str]) -> None:
    child.close()
    folder.cleanup()


class MicroInterpreter:
    """Lives in a `Worker`."""

    def __init__(self, settings: MicroSettings) -> None:
        try:
            from tflite_micro import runtime
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running a .tflite artifact on target 'micro'", "micro") from error
        self._runtime, self._data = runtime, settings.data
        try:
            self._interpreter = self._opened(_AMPLE_BYTES)
        except RuntimeError as error:
            version = installed_version("tflite-micro")
            raise TargetError(
                f"TFLite Micro {version} cannot load the artifact: {error}",
                fix="take tflite-int8, or an artifact whose operators TFLite Micro has.",
            ) from error

    def model(self) -> MicroModel:
        """The model."""
        from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

        model = schema.ModelT.InitFromPackedBuf(self._data, 0)
        graph = model.subgraphs[0]
        self._outputs = len(graph.outputs)
        names = {int(index): graph.tensors[index].name.decode() for index in (*graph.inputs, *graph.outputs)}
        if model.signatureDefs:
            definition = model.signatureDefs[0]
            named = {entry.tensorIndex: entry.name.decode() for entry in (*definition.inputs, *definition.outputs)}
            if plain_names(named.values()) == list(named.values()):
                names = named
        kinds = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        codes = [
            code.customCode.decode() if code.customCode else kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
            for code in model.operatorCodes
        ]
        plain = dict(zip(names, plain_names(names.values()), strict=True))
        return MicroModel(
            tuple(self._tensor("input", place, plain[index]) for place, index in enumerate(graph.inputs)),
            tuple(self._tensor("output", place, plain[index]) for place, index in enumerate(graph.outputs)),
            tuple(codes[operator.opcodeIndex] for operator in graph.operators),
        )

    def invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Runs the model once."""
        for place, value in enumerate(inputs):
            self._interpreter.set_input(value, place)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(place)) for place in range(self._outputs)]

    def arena_bytes(self) -> int:
        """The smallest arena that the model can be opened in."""
        low, high = 0, 1024
        while not self._fits(high):
            low, high = high, 2 * high
        while high - low > _ALIGNMENT_BYTES:
            middle = (low + high) // (2 * _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
            low, high = (low, middle) if self._fits(middle) else (middle, high)
        return high

    def _opened(self, arena_bytes: int) -> Any:
        return self._runtime.Interpreter.from_bytes(self._data, arena_size=arena_bytes)

    def _fits(self, arena_bytes: int) -> bool:
        try:
            self._opened(arena_bytes)
        except RuntimeError:
            return False
        return True

    def _tensor(self, kind: str, place: int, name: str) -> _Tensor:
        details = getattr(self._interpreter, f"get_{kind}_details")(place)
        scales = details["quantization_parameters"]["scales"]
        zeros = details["quantization_parameters"]["zero_points"]
        return _Tensor(
            name,
            tuple(map(int, details["shape"])),
            np.dtype(details["dtype"]).name,
            Quantization(float(scales[0]), int(zeros[0])) if len(scales) else None,
        )
