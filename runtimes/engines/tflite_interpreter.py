"""What the interpreters of LiteRT and tflite-runtime tell of a model, and the memory of its tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.tensors import plain_names

__all__ = ["check_reshapes", "delegated", "memory", "tensors"]


def check_reshapes(interpreter: Any) -> None:
    """Raises ValueError where a shape with a batch of its own is built in: the interpreter would say so on stderr."""
    for node in interpreter._get_ops_details():  # noqa: SLF001 - nothing public tells of operators
        if node["op_name"] == "RESHAPE":
            shape = interpreter.get_tensor(node["inputs"][1]) if len(node["inputs"]) > 1 else np.empty(0)
            if not shape.size or shape[0] != -1:
                raise ValueError("a shape is built in")


class _View:
    """Tells numpy of an interpreter's memory, and keeps the interpreter."""

    def __init__(self, interpreter: Any, array: np.ndarray) -> None:
        self._interpreter = interpreter
        self.__array_interface__ = array.__array_interface__


def memory(interpreter: Any, index: int) -> np.ndarray:
    """An array over a tensor's memory, which stays where it is until tensors are allocated anew.

    The interpreter refuses to run while an array of its own making is held; of this one it does not know.

    Raises:
        ValueError: The tensor has no memory yet.
    """
    return np.asarray(_View(interpreter, interpreter.tensor(index)()))


def tensors(interpreter: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The interpreter's account of inputs and outputs, by the names that `core.formats.tflite` gives them."""
    if interpreter.get_signature_list():
        runner = interpreter.get_signature_runner()
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        names = [*inputs, *outputs]
        if plain_names(names) == names:
            return inputs, outputs
    takes, gives = interpreter.get_input_details(), interpreter.get_output_details()
    names = plain_names(details["name"] for details in (*takes, *gives))
    return dict(zip(names, takes, strict=False)), dict(zip(names[len(takes) :], gives, strict=True))


def delegated(interpreter: Any) -> list[tuple[str, bool]]:
    """Kind of each operator, and whether a delegate took it.

    A delegate's node stands for what lies between its inputs and its outputs; the nodes that it took stay listed.
    """
    nodes = interpreter._get_ops_details()  # noqa: SLF001  # the one account that there is
    delegates = [node for node in nodes if node["op_name"] == "DELEGATE"]
    operators = [node for node in nodes if node["op_name"] != "DELEGATE"]
    maker = {int(tensor): node for node in operators for tensor in node["outputs"]}
    taken: set[int] = set()
    for delegate in delegates:
        ends = set(map(int, delegate["inputs"]))
        left = list(map(int, delegate["outputs"]))
        while left:
            tensor = left.pop()
            node = None if tensor in ends else maker.get(tensor)
            if node is not None and node["index"] not in taken:
                taken.add(node["index"])
                left += map(int, node["inputs"])
    return [(node["op_name"], node["index"] in taken) for node in operators]
