"""tflite-runtime on the CPU, where ai-edge-litert has no wheel: 32-bit Arm, Python up to 3.11, numpy 1."""

from __future__ import annotations

from typing import Any, ClassVar

from edgeml.core.artifact import Needs
from edgeml.core.errors import MissingDependencyError

from .litert import LiteRTSession

__all__ = ["TfliteRuntimeSession"]


class TfliteRuntimeSession(LiteRTSession):
    """A TFLite artifact on tflite-runtime's interpreter. Its documentation is `BaseSession`'s.

    Where XNNPACK does not take all of it, which it does for floats alone here, the kernels are TensorFlow Lite's own:
    another family, with answers of its own.
    """

    engine: ClassVar[str] = "tflite-runtime"

    def _open(self, data: bytes, needs: Needs, threads: int) -> None:
        super()._open(data, needs, threads)
        self.family = "xnnpack" if all(taken for _, taken in self._delegated()) else "tflite"

    @staticmethod
    def _module() -> Any:
        try:
            from tflite_runtime import interpreter
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running a .tflite artifact", "tflite-runtime") from error
        return interpreter
