"""Tensors, memory and operators of a model in the interpreters of LiteRT and tflite-runtime."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.tensors import plain_names

__all__ = ["check_reshapes", "delegated", "memory", "tensors"]


def check_reshapes(interpreter: Any) -> None:
    """Raise ValueError where a reshape has a fixed batch size; the interpreter would only print that on stderr."""
    for node in interpreter._get_ops_details():  # noqa: SLF001 - operators have no public API
        if node["op_name"] == "RESHAPE":
            shape = interpreter.get_tensor(node["inputs"][1]) if len(node["inputs"]) > 1 else np.empty(0)
            if not shape.size or shape[0] != -1:
                raise ValueError("a reshape has a fixed batch size")


class _View:
    """An interpreter's memory for numpy, with a reference that keeps the interpreter alive."""

    def __init__(self, interpreter: Any, array: np.ndarray) -> None:
        self._interpreter = interpreter
        self.__array_interface__ = array.__array_interface__


def memory(interpreter: Any, index: int) -> np.ndarray:
    """Return an array over a tensor's memory, valid until the tensors are allocated again.

    The interpreter refuses to run while arrays that it returned are alive; this array is not one of them.

    Raises:
        ValueError: The tensor is not allocated yet.
    """
    return np.asarray(_View(interpreter, interpreter.tensor(index)()))


def tensors(interpreter: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return details of the inputs and outputs by the names that `core.formats.tflite` uses."""
    if interpreter.get_signature_list():
        runner = interpreter.get_signature_runner()
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        names = [*inputs, *outputs]
        if plain_names(names) == names:
            return inputs, outputs
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    names = plain_names(details["name"] for details in (*inputs, *outputs))
    return dict(zip(names, inputs, strict=False)), dict(zip(names[len(inputs) :], outputs, strict=True))


def delegated(interpreter: Any) -> list[tuple[str, bool]]:
    """Return the kind of each operator, and whether a delegate runs it.

    A delegate's node replaces the operators between its inputs and its outputs, which remain in the list.
    """
    nodes = interpreter._get_ops_details()  # noqa: SLF001  # operators have no public API
    delegates = [node for node in nodes if node["op_name"] == "DELEGATE"]
    operators = [node for node in nodes if node["op_name"] != "DELEGATE"]
    maker = {int(tensor): node for node in operators for tensor in node["outputs"]}
    delegated_nodes: set[int] = set()
    for delegate in delegates:
        ends = set(map(int, delegate["inputs"]))
        left = list(map(int, delegate["outputs"]))
        while left:
            tensor = left.pop()
            node = None if tensor in ends else maker.get(tensor)
            if node is not None and node["index"] not in delegated_nodes:
                delegated_nodes.add(node["index"])
                left += map(int, node["inputs"])
    return [(node["op_name"], node["index"] in delegated_nodes) for node in operators]
