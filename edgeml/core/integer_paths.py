"""Floats that a TensorFlow graph uses as integers: token numbers that a model takes as float32 and casts itself.

Operations and tensors are those of a `tf.Graph`; TensorFlow itself is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = ["operations_on_integers", "used_as_integers"]

# Operations that select, repeat or rearrange numbers without computing.
_MOVING = {
    "BroadcastTo", "ConcatV2", "EnsureShape", "ExpandDims", "GatherV2", "Identity", "Pack", "Reshape", "Slice", "Split",
    "SplitV", "Squeeze", "StopGradient", "StridedSlice", "Tile", "Transpose", "Unpack",
}  # fmt: skip
_COMPARING = {"Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "NotEqual"}


def used_as_integers(inputs: Iterable[Any], outputs: Iterable[Any]) -> list[Any]:
    """Return the float inputs of a graph whose numbers reach nothing but casts to integers.

    Comparisons with integers count as such, and outputs of the graph do not.
    """
    return [tensor for tensor, _ in _integers(inputs, outputs, _is_integer)]


def operations_on_integers(tensors: Iterable[Any]) -> list[Any]:
    """Return the operations between float tensors and casts to integers, outputs of the graph, or comparisons.

    All of them work on integers just as well. Those of tensors that reach another operation are left out.
    """
    operations = {
        operation.name: operation for _, reached in _integers(tensors, (), _is_constant) for operation in reached
    }
    return list(operations.values())


def _integers(
    tensors: Iterable[Any], outputs: Iterable[Any], is_integer: Callable[[Any], bool]
) -> list[tuple[Any, list[Any]]]:
    """Return the tensors that are used as integers, each with the operations that it reaches.

    Args:
        tensors: Float tensors of a graph.
        outputs: Tensors that are used as floats.
        is_integer: Function that returns whether a tensor is an integer that others may be compared with.
    """
    final = {output.name for output in outputs}
    paths = [(tensor, _reached(tensor)) for tensor in tensors]
    while True:
        moved = {tensor.name for tensor, _ in paths} | _moved(
            operation for _, reached in paths for operation in reached
        )
        fitting = [
            (tensor, reached)
            for tensor, reached in paths
            if not final & ({tensor.name} | _moved(reached))
            and all(_takes_integers(operation, moved, is_integer) for operation in reached)
        ]
        if len(fitting) == len(paths):
            return fitting
        paths = fitting


def _moved(operations: Iterable[Any]) -> set[str]:
    """Return the names of the tensors that operations only move."""
    return {end.name for operation in operations if operation.type in _MOVING for end in operation.outputs}


def _reached(tensor: Any) -> list[Any]:
    """Return the operations that a tensor's numbers reach, up to those that do more than move them."""
    reached: dict[str, Any] = {}
    pending = [tensor]
    while pending:
        for operation in pending.pop().consumers():
            if operation.name not in reached:
                reached[operation.name] = operation
                pending += operation.outputs if operation.type in _MOVING else []
    return list(reached.values())


def _takes_integers(operation: Any, moved: set[str], is_integer: Callable[[Any], bool]) -> bool:
    """Return whether an operation gives the same for integers as for the floats that represent them."""
    if operation.type == "Cast":
        return bool(operation.outputs[0].dtype.is_integer or operation.outputs[0].dtype.is_bool)
    others = [end for end in operation.inputs if end.name not in moved and end.dtype.is_floating]
    if operation.type in _COMPARING:
        return all(map(is_integer, others))
    return operation.type == "Shape" or (operation.type in _MOVING and not others)


def _is_integer(tensor: Any) -> bool:
    """Return whether a tensor is one constant integer, or was cast from integers."""
    return _is_constant(tensor) or bool(tensor.op.type == "Cast" and tensor.op.inputs[0].dtype.is_integer)


def _is_constant(tensor: Any) -> bool:
    """Return whether a tensor is one constant integer."""
    if tensor.op.type != "Const" or tensor.shape.rank != 0:
        return False
    constant = tensor.op.get_attr("value")
    (value,) = constant.float_val or np.frombuffer(constant.tensor_content, np.float32).tolist() or (0.5,)
    return float(value).is_integer()
