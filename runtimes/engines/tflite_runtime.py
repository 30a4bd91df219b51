"""tflite-runtime on the CPU, where ai-edge-litert has no wheel: 32-bit Arm, Python up to 3.11, numpy 1."""

from __future__ import annotations

from typing import Any, ClassVar

from edgeml.core.artifact import Needs
from edgeml.core.errors import MissingDependencyError
from edgeml.core.tensors import Signature

from .litert import LiteRTAdapter

__all__ = ["TfliteRuntimeAdapter"]


class TfliteRuntimeAdapter(LiteRTAdapter):
    """A TFLite artifact on tflite-runtime's interpreter.

    In this engine XNNPACK runs float models only. Other models run on TensorFlow Lite's built-in kernels, which are
    another family with outputs of their own.
    """

    name: ClassVar[str] = "tflite-runtime"

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        super().__init__(data, signature, needs=needs, target=target, threads=threads)
        self.family = "xnnpack" if all(is_delegated for _, is_delegated in self._delegated()) else "tflite"

    @staticmethod
    def _module() -> Any:
        try:
            from tflite_runtime import interpreter
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running a .tflite artifact", "tflite-runtime") from error
        return interpreter
