"""TFLite Micro's interpreter in a child process."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from msgspec import Struct

from edgeml.core.errors import MissingDependencyError, TargetError
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Quantization, plain_names

__all__ = ["AMPLE_BYTES", "MicroInterpreter", "MicroModel", "MicroSettings", "MicroTensor"]

AMPLE_BYTES = 64 * 2**20


class MicroSettings(Struct, frozen=True):
    """Settings of `MicroInterpreter`: the model."""

    data: bytes


class MicroTensor(Struct, frozen=True):
    """The interpreter's description of a tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None


class MicroModel(Struct, frozen=True):
    """The interpreter's description of a model: tensors in the interpreter's order, and operators."""

    inputs: tuple[MicroTensor, ...]
    outputs: tuple[MicroTensor, ...]
    operators: tuple[str, ...]


class MicroInterpreter:
    """Run TFLite Micro in a child process, as the target of a `Worker`."""

    def __init__(self, settings: MicroSettings) -> None:
        try:
            from tflite_micro import runtime
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running a .tflite artifact on target 'micro'", "micro") from error
        self._runtime, self._data = runtime, settings.data
        try:
            self._interpreter = self._open(AMPLE_BYTES)
        except RuntimeError as error:
            version = installed_version("tflite-micro")
            raise TargetError(
                f"TFLite Micro {version} cannot load the artifact: {error}",
                fix="use tflite-int8, or an artifact whose operators TFLite Micro supports.",
            ) from error

    def model(self) -> MicroModel:
        """Describe the model."""
        from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

        model = self._model
        graph = model.subgraphs[0]
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
        """Run the model once.

        Raises:
            TargetError: An operator fails.
        """
        try:
            for place, value in enumerate(inputs):
                self._interpreter.set_input(value, place)
            self._interpreter.invoke()
        except RuntimeError as error:
            version = installed_version("tflite-micro")
            raise TargetError(
                f"TFLite Micro {version} loads the artifact but cannot run it: {error}",
                fix="use an artifact whose operators TFLite Micro supports for its dtypes.",
            ) from error
        count = len(self._model.subgraphs[0].outputs)
        return [np.array(self._interpreter.get_output(place)) for place in range(count)]

    def fits(self, arena_bytes: int) -> bool:
        """Return whether the arena suffices. Too small an arena aborts the process for some models."""
        try:
            self._open(arena_bytes)
        except RuntimeError:
            return False
        return True

    @cached_property
    def _model(self) -> Any:
        """The parsed model. A restarted child serves calls in any order, so that no method relies on another."""
        from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

        return schema.ModelT.InitFromPackedBuf(self._data, 0)

    def _open(self, arena_bytes: int) -> Any:
        return self._runtime.Interpreter.from_bytes(self._data, arena_size=arena_bytes)

    def _tensor(self, kind: str, place: int, name: str) -> MicroTensor:
        details = getattr(self._interpreter, f"get_{kind}_details")(place)
        scales = details["quantization_parameters"]["scales"]
        zeros = details["quantization_parameters"]["zero_points"]
        return MicroTensor(
            name,
            tuple(map(int, details["shape"])),
            np.dtype(details["dtype"]).name,
            Quantization(float(scales[0]), int(zeros[0])) if len(scales) else None,
        )
