"""TFLite Micro on the host: what a microcontroller answers, and the memory that it needs for it."""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import ArrayInstance, EngineAdapter, EngineInstance, check_tensor
from edgeml.core.errors import TargetError
from edgeml.core.placement import OperatorCount, count_operators
from edgeml.core.recipe import Precision
from edgeml.core.system.worker import Worker, WorkerCrash, WorkerTimeout
from edgeml.core.tensors import Signature

from .tflite_micro_process import AMPLE_BYTES, MicroInterpreter, MicroModel, MicroSettings, MicroTensor

__all__ = ["TfliteMicroAdapter"]

_ALIGNMENT_BYTES = 16
_CALL_TIMEOUT_S = 120.0  # the reference kernels take seconds for the largest models that a microcontroller holds


class TfliteMicroAdapter(EngineAdapter):
    """A TFLite artifact on TFLite Micro's reference kernels.

    The interpreter lives in a child process, since some models make it abort.
    """

    name: ClassVar[str] = "tflite-micro"
    family = "tflm"
    targets: ClassVar[tuple[str, ...]] = ("micro",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "int8", "int16x8")

    def arena_bytes(self) -> int:
        """Return the size of the smallest arena that the model can be run in, found by trying, to 16 bytes.

        It is that of this host, where pointers have 64 bits: a microcontroller needs less.
        """
        low, high = 0, 1024
        while high < AMPLE_BYTES and not self._fits(high):
            low, high = high, 2 * high
        while high - low > _ALIGNMENT_BYTES:
            middle = (low + high) // (2 * _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
            low, high = (low, middle) if self._fits(middle) else (middle, high)
        return high

    def _fits(self, arena_bytes: int) -> bool:
        try:
            return bool(self._asked("fits", arena_bytes, returns=bool))
        except WorkerCrash:  # in too small an arena
            return False

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:  # noqa: ARG002  # it has one target and one thread
        self.signature = signature
        folder = tempfile.TemporaryDirectory(prefix="edgeml-")
        self._child = Worker(f"{MicroInterpreter.__module__}:MicroInterpreter", MicroSettings(data), Path(folder.name))
        self._free = weakref.finalize(self, _close, self._child, folder)
        self._calls = threading.Lock()
        try:
            model = self._call("model", returns=MicroModel)
        except BaseException:
            self._free()
            raise
        self._operators = model.operators
        self._takes = self._order("input", model.inputs)
        self._gives = self._order("output", model.outputs)

    def _order(self, kind: Any, found: tuple[MicroTensor, ...]) -> list[int]:
        """The place in the artifact's signature of each tensor of the interpreter."""
        specs = self.signature.inputs if kind == "input" else self.signature.outputs
        by_name = {tensor.name: tensor for tensor in found}
        for spec in specs:
            if spec.name not in by_name:
                raise TargetError(f"{self.name} finds no {kind} '{spec.name}' in the artifact, but {sorted(by_name)}.")
            tensor = by_name[spec.name]
            check_tensor(self.name, kind, spec, tensor.shape, tensor.dtype, tensor.quantization)
        names = [spec.name for spec in specs]
        return [names.index(tensor.name) for tensor in found]

    def instance(self, batch: int | None, threads: int) -> EngineInstance:  # noqa: ARG002  # there is one child
        """Use the one child, in turn with other threads."""
        return ArrayInstance(self._answer)

    def _answer(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        found = self._call("invoke", [values[place] for place in self._takes], returns=list[np.ndarray])
        return [found[self._gives.index(place)] for place in range(len(found))]

    def close(self) -> None:
        """End the child."""
        self._free()

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators, all of which TFLite Micro runs itself."""
        return count_operators((kind, "TFLite Micro", True) for kind in self._operators)

    def _call(self, method: str, *arguments: object, returns: Any) -> Any:
        try:
            return self._asked(method, *arguments, returns=returns)
        except WorkerCrash as error:
            what = "is stuck with" if isinstance(error, WorkerTimeout) else "aborts on"
            raise TargetError(
                f"TFLite Micro {self.version} {what} the artifact: {error.message}", log=error.log
            ) from error
        except TargetError as error:
            printed = error.log.partition("Traceback")[0].split("\n")[0].strip()
            if not printed:
                raise
            # The interpreter says why on stderr alone.
            raise TargetError(f"{error.message.rstrip('.')}: {printed}", fix=error.fix, log=error.log) from error

    def _asked(self, method: str, *arguments: object, returns: Any) -> Any:
        def call() -> Any:
            return self._child.call(method, *arguments, returns=returns, timeout_s=_CALL_TIMEOUT_S)

        with self._calls:
            try:
                return call()
            except WorkerTimeout:
                raise
            except WorkerCrash:  # a child ends with the thread that started it: only the second time counts
                return call()


def _close(child: Worker, folder: tempfile.TemporaryDirectory[str]) -> None:
    child.close()
    folder.cleanup()
