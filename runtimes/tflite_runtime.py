"""tflite-runtime on the CPU, where ai-edge-litert has no wheel: 32-bit Arm, Python up to 3.11, numpy 1."""

from __future__ import annotations

from typing import Any, ClassVar

from edgeml.core.errors import MissingDependencyError

from .litert import LiteRTSession

__all__ = ["TfliteRuntimeSession"]


class TfliteRuntimeSession(LiteRTSession):
    """A TFLite artifact on tflite-runtime's interpreter with XNNPACK. Its documentation is `BaseSession`'s."""

    engine: ClassVar[str] = "tflite-runtime"

    @staticmethod
    def _module() -> Any:
        try:
            from tflite_runtime import interpreter
        except ModuleNotFoundError as error:
            raise MissingDependencyError("Running a .tflite artifact", "tflite-runtime") from error
        return interpreter
