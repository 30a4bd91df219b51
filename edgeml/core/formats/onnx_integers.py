"""Floats that an ONNX graph uses as integers: token numbers that a model takes as float32 and casts itself."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["integer_inputs", "nodes_on_integers"]

# Operators that select, repeat or rearrange numbers without computing, by the number of inputs that are such numbers.
_MOVING = {
    "Concat": None, "Expand": 1, "Flatten": 1, "Gather": 1, "Identity": 1, "Reshape": 1, "Slice": 1, "Split": 1,
    "Squeeze": 1, "Tile": 1, "Transpose": 1, "Unsqueeze": 1,
}  # fmt: skip
_COMPARING = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
_FLOAT = 1  # of onnx.TensorProto
_INTEGERS = {2, 3, 4, 5, 6, 7, 9, 12, 13}


def integer_inputs(graph: Any) -> list[str]:
    """Return the names of float inputs whose numbers reach nothing but casts to integers.

    Comparisons with constant integers count as such, and outputs of the graph do not.

    Args:
        graph: An `onnx.GraphProto`.
    """
    inputs = [value.name for value in graph.input if value.type.tensor_type.elem_type == _FLOAT]
    return [name for name, nodes in _ways(graph, inputs, {value.name for value in graph.output}).items() if nodes]


def nodes_on_integers(graph: Any) -> list[Any]:
    """Return the nodes that read such inputs' numbers, or integers as floats that are only cast back or returned.

    The casts to floats are among these.
    """
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast" and _dtype(node) == _FLOAT}
    inputs = dict.fromkeys(integer_inputs(graph))
    ways = _ways(graph, [*inputs, *casts], set())
    nodes = [node for name in ways for node in ([casts[name]] if name in casts else []) + ways[name]]
    return list({id(node): node for node in nodes}.values())


def _ways(graph: Any, starts: list[str], floats: set[str]) -> dict[str, list[Any]]:
    """Return the tensors, of some, that are used as integers, each with the nodes that read its numbers.

    Args:
        graph: The graph.
        starts: Names of float tensors.
        floats: Names of tensors that are used as floats.
    """
    consumers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in _read(node):
            consumers.setdefault(name, []).append(node)
    constants = {tensor.name for tensor in graph.initializer if _is_integer(tensor)}
    ways = {name: _follow(name, consumers) for name in starts}
    while True:
        moved = {name for names, _ in ways.values() for name in names}
        fitting = {
            start: (names, nodes)
            for start, (names, nodes) in ways.items()
            if not floats & names and all(_takes_integers(node, moved, constants) for node in nodes)
        }
        if len(fitting) == len(ways):
            return {start: nodes for start, (_, nodes) in ways.items()}
        ways = fitting


def _read(node: Any) -> set[str]:
    """Return the names that a node reads, also in its subgraphs."""
    names = set(node.input)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            names.update(*(_read(each) for each in inner.node))
    return names


def _follow(start: str, consumers: dict[str, list[Any]]) -> tuple[set[str], list[Any]]:
    """Return the tensors that hold an input's numbers, and the nodes that read them."""
    nodes: list[Any] = []
    names, pending = {start}, [start]
    while pending:
        for node in consumers.get(pending.pop(), []):
            if not any(node is each for each in nodes):
                nodes.append(node)
                if node.op_type in _MOVING:
                    names.update(node.output)
                    pending += node.output
    return names, nodes


def _dtype(cast: Any) -> int:
    """Return the dtype that a node casts to, as `onnx.TensorProto` numbers it."""
    return next((int(attribute.i) for attribute in cast.attribute if attribute.name == "to"), 0)


def _takes_integers(node: Any, moved: set[str], constants: set[str]) -> bool:
    if node.op_type == "Cast":
        return _dtype(node) in _INTEGERS
    if node.op_type in _COMPARING:
        return all(name in moved | constants for name in node.input)
    return node.op_type == "Shape" or (
        node.op_type in _MOVING and all(name in moved for name in node.input[: _MOVING[node.op_type]])
    )


def _is_integer(tensor: Any) -> bool:
    """Return whether a tensor is one constant integer."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor) if not tensor.dims or list(tensor.dims) == [1] else np.array([0.5])
    return bool(values.dtype.kind == "f" and np.all(values == np.trunc(values)))
