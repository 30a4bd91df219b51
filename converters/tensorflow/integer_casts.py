"""Keep integers as integers in graphs that will be quantized: as floats they would be quantized, too."""

from __future__ import annotations

from typing import Any

from edgeml.core.integer_paths import operations_on_integers

from .definitions import import_like

__all__ = ["keep_integers"]

_TYPES = ("T", "Tparams", "SrcT")  # attributes for the dtype of an operation's numbers


def keep_integers(function: Any) -> Any:
    """Remove casts of integers and bools to floats, where these are only cast back or returned.

    Args:
        function: A `ConcreteFunction` without captured tensors.

    Returns:
        A function of the same inputs. Its outputs are integers or bools where they were cast from these.
    """
    definition = function.graph.as_graph_def()
    nodes = {node.name: node for node in definition.node}
    changed = False
    for dtype in ("bool", "int32", "int64"):
        casts = [cast for cast in function.graph.get_operations() if _makes_floats(cast, dtype)]
        operations = operations_on_integers([cast.outputs[0] for cast in casts])
        reached = {operation.name for operation in operations}
        for cast in casts:
            consumers = {consumer.name for consumer in cast.outputs[0].consumers()}
            if consumers <= reached:
                changed = True
                _pass_on(nodes[cast.name], cast)
        for operation in operations:
            _retype(definition, nodes[operation.name], operation, casts[0].inputs[0].dtype)
    return import_like(function, definition) if changed else function


def _makes_floats(operation: Any, dtype: str) -> bool:
    """Return whether an operation casts numbers of a dtype to floats."""
    if operation.type != "Cast":
        return False
    return bool(operation.inputs[0].dtype.name == dtype and operation.outputs[0].dtype.name == "float32")


def _pass_on(node: Any, cast: Any) -> None:
    """Turn a cast into an operation that passes its input on."""
    node.op = "Identity"
    node.attr.clear()
    node.attr["T"].type = cast.inputs[0].dtype.as_datatype_enum


def _retype(definition: Any, node: Any, operation: Any, dtype: Any) -> None:
    """Let an operation on floats work on integers."""
    import tensorflow as tf

    for name in _TYPES:
        if name in node.attr and node.attr[name].type == tf.float32.as_datatype_enum:
            node.attr[name].type = dtype.as_datatype_enum
    for place, end in enumerate(operation.inputs):
        if end.dtype == tf.float32 and end.op.type == "Const":  # of a comparison
            value = tf.make_ndarray(end.op.get_attr("value"))
            constant = definition.node.add(op="Const", name=f"{node.name}/integer_{place}")
            constant.attr["dtype"].type = dtype.as_datatype_enum
            constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype))
            node.input[place] = constant.name
