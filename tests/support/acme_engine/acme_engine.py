"""A third party's engine: ONNX's own reference evaluator, as the target `acme`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from edgeml.core.artifact import Needs
from edgeml.core.tensors import Signature
from edgeml.runtimes import ArrayInstance, EngineAdapter, EngineInstance, OperatorCount, count_operators

__all__ = ["AcmeAdapter"]


class AcmeAdapter(EngineAdapter):
    """An ONNX artifact on the reference evaluator, which says that it leaves the last operator to the CPU."""

    name: ClassVar[str] = "acme-engine"
    family = "acme"
    targets: ClassVar[tuple[str, ...]] = ("acme",)

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        self._signature = signature
        self._model = onnx.load_from_string(data)
        self._evaluator = ReferenceEvaluator(self._model)

    @property
    def version(self) -> str:
        """Version of onnx."""
        return onnx.__version__

    def instance(self, batch: int | None, threads: int) -> EngineInstance:
        """Use the evaluator, which any number of threads may."""
        return ArrayInstance(self._call)

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return all operators as its own, but for the last."""
        *kinds, last = [node.op_type for node in self._model.graph.node]
        return count_operators([*((kind, "acme", True) for kind in kinds), (last, "CPU", False)])

    def _call(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        feed = {spec.name: value for spec, value in zip(self._signature.inputs, values, strict=True)}
        names = [spec.name for spec in self._signature.outputs]
        return [np.asarray(value) for value in self._evaluator.run(names, feed)]
