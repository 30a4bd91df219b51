"""LiteRT on the GPU, through its compiled models."""

from __future__ import annotations

import itertools
import math
import re
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Needs
from edgeml.core.engine import ArrayInstance, EngineInstance, TinyModel
from edgeml.core.errors import EdgemlError, TargetError
from edgeml.core.placement import OperatorCount, count_operators
from edgeml.core.recipe import Precision
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.core.system.worker import Worker
from edgeml.core.tensors import Signature, TensorSpec

from .litert import LiteRTAdapter
from .tiny_models import tiny_tflite
from .vulkan import vulkan_devices

__all__ = ["GpuProbe", "LiteRTGpuAdapter", "ProbeSettings"]

_REFUSED = "Following operations are not supported by GPU delegate:"


class LiteRTGpuAdapter(LiteRTAdapter):
    """A TFLite artifact on the GPU, through WebGPU on Vulkan."""

    family = "ml-drift"
    resizes: ClassVar[bool] = False
    runs_free_sizes: ClassVar[bool] = False
    targets: ClassVar[tuple[str, ...]] = ("gpu",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16", "dynamic", "int8")

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:  # noqa: ARG003  # the only target
        """Return an error if Vulkan's loader or a device is missing."""
        try:
            devices = vulkan_devices()
        except OSError as error:
            return TargetError(
                f"Target 'gpu' needs Vulkan's loader, which does not load: {error}.", fix="apt-get install libvulkan1"
            )
        if not devices:
            return TargetError(
                "Target 'gpu' needs a GPU with a Vulkan driver; Vulkan did not find one.",
                fix="install the GPU's driver: apt-get install mesa-vulkan-drivers, or NVIDIA's own.",
            )
        return None

    @classmethod
    def tiny_model(cls, target: str) -> TinyModel | None:  # noqa: ARG003  # the only target
        """Return a model of one operator."""
        return tiny_tflite()

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        # The compiled model does not expose names and quantization of tensors; the interpreter does.
        super().__init__(data, signature, needs=needs, target=target, threads=threads)
        kinds = [kind for kind, _ in self._delegated()]
        refused: list[str] = []
        try:
            self._model = _compile(data)
        except RuntimeError as error:
            refused = _refused_operators(data)
            if not refused:
                raise TargetError(f"LiteRT {self.version} cannot run the artifact on the GPU: {error}") from error
            self._model = _compile(data, with_cpu=True)
        for kind in refused:
            kinds.remove(kind)
        gpu = "GPU" if refused or self._model.is_fully_accelerated() else "unknown"
        self._account = count_operators(
            [*((kind, gpu, gpu == "GPU") for kind in kinds), *((k, "CPU", False) for k in refused)]
        )
        self._lock = threading.Lock()
        (named,) = self._model.get_signature_list().items()
        self._input_buffers = self._buffers("input", *named)
        self._output_buffers = self._buffers("output", *named)

    def _buffers(self, way: str, key: str, names: dict[str, list[str]]) -> dict[int, Any]:
        """Create the engine's buffers, in its own order, by index of the tensor."""
        details = getattr(self._model, f"get_{way}_tensor_details")(key)
        buffers = getattr(self._model, f"create_{way}_buffers")(0)
        return {int(details[name]["index"]): buffer for name, buffer in zip(names[f"{way}s"], buffers, strict=True)}

    def instance(self, batch: int | None, threads: int) -> EngineInstance:  # noqa: ARG002  # all threads share the GPU
        """Return an instance of the only model, which threads use in turn."""
        return ArrayInstance(self._call)

    def _call(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        with self._lock:
            for index, value in zip(self._inputs, values, strict=True):
                self._input_buffers[index].write(np.ascontiguousarray(value))
            self._model.run_by_index(0, list(self._input_buffers.values()), list(self._output_buffers.values()))
            return [self._read(index, spec) for index, spec in zip(self._outputs, self.signature.outputs, strict=True)]

    def _read(self, index: int, spec: TensorSpec) -> np.ndarray:
        shape = [size or 1 for size in spec.shape]
        return np.array(self._output_buffers[index].read(math.prod(shape), np.dtype(spec.dtype).type)).reshape(shape)

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators that run on the GPU, and those that run on the CPU."""
        return self._account

    def close(self) -> None:
        """Release the model on the CPU and on the GPU."""
        super().close()
        self._input_buffers.clear()
        self._output_buffers.clear()
        self._model.close()


def _compile(data: bytes, *, with_cpu: bool = False) -> Any:
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator
    from ai_edge_litert.options import Options

    gpu, cpu = HardwareAccelerator.GPU, HardwareAccelerator.CPU
    return CompiledModel.from_buffer(data, options=Options(hardware_accelerators=gpu | cpu if with_cpu else gpu))


class ProbeSettings(Struct, frozen=True):
    """Settings of `GpuProbe`: the model."""

    data: bytes


class GpuProbe:
    """Open a model on the GPU in a child process, whose log has details that the engine only prints."""

    def __init__(self, settings: ProbeSettings) -> None:
        self._data = settings.data

    def open(self) -> bool:
        """Return whether the GPU supports all operators.

        Raises:
            TargetError: The engine refuses the model.
        """
        try:
            return bool(_compile(self._data).is_fully_accelerated())
        except RuntimeError as error:
            raise TargetError(str(error)) from error


def _refused_operators(data: bytes) -> list[str]:
    """Return the kind of each operator that the GPU does not support, as printed by the engine."""
    with (
        TemporaryFolder() as folder,
        Worker(f"{GpuProbe.__module__}:GpuProbe", ProbeSettings(data), folder) as child,
    ):
        log = ""
        try:
            child.call("open", returns=bool)
        except EdgemlError as error:
            log = error.log
    lines = log.partition(_REFUSED)[2].splitlines()[1:]
    refusals = itertools.takewhile(lambda line: re.match(r"[A-Z0-9_]+: ", line), lines)
    return [line.partition(":")[0] for line in refusals]
