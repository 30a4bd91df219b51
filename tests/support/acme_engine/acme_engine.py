"""A third party's engine: ONNX's own reference evaluator, as the target `acme`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from edgeml.core.artifact import Needs
from edgeml.core.placement import Placed, placed
from edgeml.runtimes.session.base import BaseSession
from edgeml.runtimes.session.instance import FreeHandle, Handle

__all__ = ["AcmeSession"]


class AcmeSession(BaseSession):
    """An ONNX artifact on the reference evaluator, which says that it leaves the last operator to the CPU."""

    engine: ClassVar[str] = "acme-engine"
    family = "acme"
    targets: ClassVar[tuple[str, ...]] = ("acme",)

    @property
    def engine_version(self) -> str:
        """Version of onnx."""
        return onnx.__version__

    def _open(self, data: bytes, needs: Needs, threads: int) -> None:
        self._model = onnx.load_from_string(data)
        self._evaluator = ReferenceEvaluator(self._model)

    def _handle(self, batch: int | None, threads: int) -> Handle:
        return FreeHandle(self._call)

    def _call(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        feed = {spec.name: value for spec, value in zip(self.signature.inputs, values, strict=True)}
        names = [spec.name for spec in self.signature.outputs]
        return [np.asarray(value) for value in self._evaluator.run(names, feed)]

    def _placed(self) -> tuple[Placed, ...]:
        *kinds, last = [node.op_type for node in self._model.graph.node]
        return placed([*((kind, "acme", True) for kind in kinds), (last, "CPU", False)])
