"""Quantized values that the bodies of loops and branches read from the graph around them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["guard_subgraphs"]

# Operators that onnxruntime moves DequantizeLinear across; their results lie on the grid of what they are given.
_MOVES = {"MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}


def guard_subgraphs(model: Any) -> Any:
    """Quantize again what a body reads of a moved quantized value, which changes no number.

    onnxruntime 1.32 moves DequantizeLinear across operators that only move numbers, to the inputs of what follows. It
    ends the process where the value is no such input, but is read within the body of a Loop, Scan or If that follows.

    Args:
        model: Quantized `onnx.ModelProto`, which is modified.
    """
    from onnx import helper

    producers = {name: node for node in model.graph.node for name in node.output}
    scalars = {tensor.name for tensor in model.graph.initializer if not tensor.dims}  # of grids without an axis
    read = {name for node in model.graph.node for body in _bodies(node) for name in _names_read(body)}
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        source = _dequantization(node, producers)
        if source is None or source.input[1] not in scalars or node.output[0] not in read or source is node:
            continue
        name, grid = node.output[0], list(source.input[1:])
        node.output[0], quantized = f"{name} moved", f"{name} quantized"
        nodes.append(helper.make_node("QuantizeLinear", [node.output[0], *grid], [quantized], f"{name} quantize"))
        nodes.append(helper.make_node("DequantizeLinear", [quantized, *grid], [name], f"{name} dequantize"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _dequantization(node: Any, producers: dict[str, Any]) -> Any | None:
    """Return the DequantizeLinear that a node's first input comes from across operators that only move numbers."""
    while node is not None and node.op_type in _MOVES:
        node = producers.get(node.input[0])
    return node if node is not None and node.op_type == "DequantizeLinear" else None


def _bodies(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        yield from (attribute.g, *attribute.graphs)


def _names_read(body: Any) -> Iterator[str]:
    for node in body.node:
        yield from node.input
        for inner in _bodies(node):
            yield from _names_read(inner)
    yield from (value.name for value in body.output)
