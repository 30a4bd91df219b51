"""Adds nodes to the graph that skl2onnx is building, in conversion functions of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["DOUBLE", "FLOAT", "Nodes"]

FLOAT, DOUBLE = 1, 11  # of onnx.TensorProto


class Nodes:
    """A call adds a node and gives the name of its output.

    Args:
        scope: Gives out names.
        container: Takes the nodes.
    """

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    def __call__(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Adds a node with one output, of the given name or a new one."""
        output = output or self._scope.get_unique_variable_name(kind)
        self._add(kind, inputs, [output], attributes)
        return output

    def several(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Adds a node with several outputs."""
        names = [self._scope.get_unique_variable_name(kind) for _ in range(outputs)]
        self._add(kind, inputs, names, attributes)
        return names

    def constant(self, values: np.ndarray) -> str:
        """Adds numbers or text."""
        from onnx import TensorProto, helper

        name: str = self._scope.get_unique_variable_name("constant")
        content: Any
        if values.dtype.kind == "U":
            kind, content = TensorProto.STRING, [text.encode() for text in values.ravel().tolist()]
        else:
            kind, content = helper.np_dtype_to_tensor_dtype(values.dtype), values.ravel()
        self._container.add_initializer(name, kind, list(values.shape), content)
        return name

    def label(self, scores: str, classes: np.ndarray, *, output: str) -> str:
        """Adds the class of the largest score, of equal ones the first: int64 for numbers, else strings."""
        names = self.constant(classes.astype(np.int64 if classes.dtype.kind in "biuf" else str))
        return self("Gather", names, self("ArgMax", scores, axis=1, keepdims=0), output=output)

    def _add(self, kind: str, inputs: Sequence[str], outputs: list[str], attributes: dict[str, Any]) -> None:
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(inputs), outputs, name=name, **attributes)
