"""Rewrite the reading of sign bits, which neither TFLite nor ONNX supports.

Keras reads them in `signbit`, and in `argmax` and `argmin` to order a negative zero before a positive one.
"""

from __future__ import annotations

from typing import Any

from .definitions import import_like

__all__ = ["replace_sign_bits"]


def replace_sign_bits(function: Any, *, integer: bool) -> Any:
    """Replace the bits by comparisons: a number is negative, or is a zero whose reciprocal is negative.

    Args:
        function: A `ConcreteFunction` without captured tensors.
        integer: Whether the graph will compute in integers, which do not have a negative zero.
    """
    tests = {test.name: number for test in function.graph.get_operations() if (number := _tested(test)) is not None}
    if not tests:
        return function
    definition = function.graph.as_graph_def()
    nodes = {node.name: node for node in definition.node}
    for name, number in tests.items():
        _replace(definition, nodes[name], number, integer=integer)
    if integer:
        for selection in function.graph.get_operations():
            if _selects_zeros(selection, tests):
                node = nodes[selection.name]
                node.op, node.input[:] = "Identity", [selection.inputs[2].name]
    return import_like(function, definition)


def _tested(operation: Any) -> Any:
    """Return the float32 tensor whose sign bit an operation tests; None for another operation."""
    if operation.type != "Less":
        return None
    masked = operation.inputs[0].op
    if masked.type != "BitwiseAnd":
        return None
    casts = [end.op for end in masked.inputs if end.op.type == "Bitcast"]
    return casts[0].inputs[0] if casts and casts[0].inputs[0].dtype.name == "float32" else None


def _selects_zeros(operation: Any, tests: dict[str, Any]) -> bool:
    """Return whether an operation replaces the negative zeros of a tensor, and nothing else."""
    if operation.type != "SelectV2" or operation.inputs[0].op.type != "LogicalAnd":
        return False
    parts = {part.op.type: part.op for part in operation.inputs[0].op.inputs}
    zero, negative = parts.get("Equal"), parts.get("Less")
    number = None if negative is None else tests.get(negative.name)
    is_same = number is not None and zero is not None and number is zero.inputs[0]
    return bool(is_same and number is operation.inputs[2])


def _replace(definition: Any, node: Any, number: Any, *, integer: bool) -> None:
    import tensorflow as tf

    float32 = tf.float32.as_datatype_enum

    def add(kind: str, name: str, *inputs: str) -> str:
        added = definition.node.add(op=kind, name=f"{node.name}/{name}", input=inputs)
        added.attr["dtype" if kind == "Const" else "T"].type = float32
        if kind == "Const":
            added.attr["value"].tensor.CopyFrom(tf.make_tensor_proto({"zero": 0.0, "one": 1.0}[name], tf.float32))
        return str(added.name)

    zero = add("Const", "zero")
    if integer:
        node.input[:] = [number.name, zero]
        node.attr["T"].type = float32
        return
    reciprocal = add("RealDiv", "reciprocal", add("Const", "one"), number.name)
    node.op = "LogicalOr"
    node.input[:] = [add("Less", "negative", number.name, zero), add("Less", "negative_reciprocal", reciprocal, zero)]
    node.attr.clear()
