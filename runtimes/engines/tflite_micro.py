"""TFLite Micro on the host: the outputs and the memory use of a microcontroller."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import ArrayInstance, EngineAdapter, EngineInstance, check_tensor
from edgeml.core.errors import ConversionError, TargetError
from edgeml.core.placement import OperatorCount, count_operators
from edgeml.core.recipe import Precision
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.core.system.worker import Worker, WorkerCrash, WorkerTimeout
from edgeml.core.tensors import Signature

from ..session.pool import closed_error
from .tflite_micro_process import AMPLE_BYTES, MicroInterpreter, MicroModel, MicroSettings, MicroTensor

__all__ = ["TfliteMicroAdapter"]

_ALIGNMENT_BYTES = 16
_CALL_TIMEOUT_S = 120.0  # the reference kernels need seconds for the largest models of microcontrollers


class TfliteMicroAdapter(EngineAdapter):
    """A TFLite artifact on TFLite Micro's reference kernels.

    The interpreter runs in a child process, since some models abort it.
    """

    name: ClassVar[str] = "tflite-micro"
    family = "tflm"
    targets: ClassVar[tuple[str, ...]] = ("micro",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "int8", "int16x8")

    def arena_bytes(self) -> int:
        """Return the size of the smallest arena for the model, to 16 bytes, by bisection.

        The size is that of this host, where pointers have 64 bits; a microcontroller needs less.
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
            return bool(self._request("fits", arena_bytes, returns=bool))
        except WorkerTimeout as error:
            raise self._translate_failure(error) from error
        except WorkerCrash:  # the arena is too small
            return False
        except ConversionError as error:
            raise self._translate_failure(error) from error

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:  # noqa: ARG002  # one target, one thread
        self.signature = signature
        folder = TemporaryFolder()
        self._child = Worker(f"{MicroInterpreter.__module__}:MicroInterpreter", MicroSettings(data), folder.path)
        self._finalizer = weakref.finalize(self, _close, self._child, folder)
        self._lock = threading.RLock()  # a signal handler may close the session in the thread that predicts
        self._closed = False
        try:
            model = self._call("model", returns=MicroModel)
        except BaseException:
            self._finalizer()
            raise
        self._operators = model.operators
        self._input_order = self._order("input", model.inputs)
        self._output_order = self._order("output", model.outputs)

    def _order(self, kind: Any, tensors: tuple[MicroTensor, ...]) -> list[int]:
        """Return the position in the artifact's signature of each tensor of the interpreter."""
        specs = self.signature.inputs if kind == "input" else self.signature.outputs
        by_name = {tensor.name: tensor for tensor in tensors}
        for spec in specs:
            if spec.name not in by_name:
                raise TargetError(
                    f"{self.name}: {kind} '{spec.name}' not found in the artifact, got {sorted(by_name)}."
                )
            tensor = by_name[spec.name]
            check_tensor(self.name, kind, spec, tensor.shape, tensor.dtype, tensor.quantization)
        names = [spec.name for spec in specs]
        return [names.index(tensor.name) for tensor in tensors]

    def instance(self, batch: int | None, threads: int) -> EngineInstance:  # noqa: ARG002  # all threads share the child
        """Return an instance of the child's interpreter, which threads use in turn."""
        return ArrayInstance(self._invoke)

    def _invoke(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        outputs = self._call("invoke", [values[place] for place in self._input_order], returns=list[np.ndarray])
        return [outputs[self._output_order.index(place)] for place in range(len(outputs))]

    def close(self) -> None:
        """End the child, after the sample that another thread is running; calls that wait for it fail."""
        self._closed = True
        with self._lock:
            self._finalizer()

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators, all of which run in TFLite Micro."""
        return count_operators((kind, "TFLite Micro", True) for kind in self._operators)

    def _call(self, method: str, *arguments: object, returns: Any) -> Any:
        try:
            return self._request(method, *arguments, returns=returns)
        except ConversionError as error:
            raise self._translate_failure(error) from error
        except TargetError as error:
            printed = error.log.partition("Traceback")[0].split("\n")[0].strip()
            if not printed:
                raise
            # The interpreter prints the reason on stderr only.
            raise TargetError(f"{error.message.rstrip('.')}: {printed}", fix=error.fix, log=error.log) from error

    def _translate_failure(self, error: ConversionError) -> TargetError:
        what = "fails with"
        if isinstance(error, WorkerCrash):
            what = "is stuck with" if isinstance(error, WorkerTimeout) else "aborts on"
        return TargetError(f"TFLite Micro {self.version} {what} the artifact: {error.message}", log=error.log)

    def _request(self, method: str, *arguments: object, returns: Any) -> Any:
        def call() -> Any:
            if self._closed:
                raise closed_error()
            try:
                return self._child.call(method, *arguments, returns=returns, timeout_s=_CALL_TIMEOUT_S)
            except Exception as error:
                if self._closed:  # during the call, by a signal handler
                    raise closed_error() from error
                if not isinstance(error, OSError):
                    raise
                raise TargetError(
                    f"TFLite Micro {self.version} cannot run in a child process: {error.strerror or error}."
                ) from error

        with self._lock:
            try:
                return call()
            except WorkerTimeout:
                raise
            except WorkerCrash:  # a child ends with the thread that started it, so that one crash is not significant
                return call()


def _close(child: Worker, folder: TemporaryFolder) -> None:
    child.close()
    folder.close()
