"""Google's Edge TPU, as a delegate of LiteRT's or tflite-runtime's interpreter."""

from __future__ import annotations

import ctypes
from typing import Any, ClassVar

from edgeml.core.errors import EdgemlError, TargetError
from edgeml.core.placement import OperatorCount, count_operators
from edgeml.core.recipe import Precision

from .litert import LiteRTAdapter
from .tflite_runtime import TfliteRuntimeAdapter

__all__ = ["LiteRTEdgeTpuAdapter", "TfliteRuntimeEdgeTpuAdapter"]

_LIBRARY = "libedgetpu.so.1"
_COMPILED = "edgetpu-custom-op"


class LiteRTEdgeTpuAdapter(LiteRTAdapter):
    """An int8 TFLite artifact that edgetpu_compiler has compiled."""

    family = "edgetpu"
    resizes: ClassVar[bool] = False
    runs_free_sizes: ClassVar[bool] = False
    targets: ClassVar[tuple[str, ...]] = ("edgetpu",)
    precisions: ClassVar[tuple[Precision, ...]] = ("int8",)

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:  # noqa: ARG003  # the only target
        """Return an error if the driver is missing."""
        try:
            ctypes.CDLL(_LIBRARY)
        except OSError as error:
            return TargetError(
                f"Target 'edgetpu' needs the driver {_LIBRARY}, which does not load: {error}.",
                fix="apt-get install libedgetpu1-std, from the package source that coral.ai names",
            )
        return None

    def _delegates(self) -> list[Any]:
        try:
            return [self._module().load_delegate(_LIBRARY)]
        except (ValueError, OSError) as error:
            raise TargetError(
                f"{_LIBRARY} did not find an Edge TPU: {error}",
                fix="attach the device, and grant this user access to it.",
            ) from error

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators that run on the Edge TPU, and the others."""
        # XNNPACK does not support custom operators, so a delegated custom operator runs on the Edge TPU.
        return count_operators(
            (kind, "Edge TPU", True) if is_delegated and kind == _COMPILED else (kind, "CPU", False)
            for kind, is_delegated in self._delegated()
        )


class TfliteRuntimeEdgeTpuAdapter(LiteRTEdgeTpuAdapter):
    """An int8 TFLite artifact compiled by edgetpu_compiler, on the tflite-runtime that libedgetpu was built for."""

    name: ClassVar[str] = "tflite-runtime"
    _module = TfliteRuntimeAdapter.__dict__["_module"]
