"""Resizing as two matrix products.

TFLite has neither TensorFlow's bicubic nor its area resizing, and tf2onnx gets both wrong. They are linear in the rows
and in the columns of an image, and sizes are fixed: what they do to unit vectors tells it all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["resized_by_products"]

_KINDS = {"ResizeArea", "ResizeBicubic"}


def resized_by_products(function: Any) -> Any:
    """The function with these operators replaced, where the sizes are known.

    Args:
        function: A `ConcreteFunction` that refers to nothing but its inputs.
    """
    import tensorflow as tf

    graph = function.graph
    found = [operation for operation in graph.get_operations() if operation.type in _KINDS and _is_plain(operation)]
    if not found:
        return function
    definition = graph.as_graph_def()
    nodes = {node.name: node for node in definition.node}
    for operation in found:
        _replace(definition, nodes[operation.name], operation)
    whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
    ends = [[whole.graph.as_graph_element(end.name) for end in side] for side in (function.inputs, function.outputs)]
    return whole.prune(*ends)


def _is_plain(operation: Any) -> bool:
    import tensorflow as tf

    image, out = operation.inputs[0], operation.outputs[0]
    known = image.shape[1:].is_fully_defined() and out.shape[1:].is_fully_defined()
    return bool(known and image.dtype == tf.float32)


def _replace(definition: Any, node: Any, operation: Any) -> None:
    import tensorflow as tf

    _, height, width, channels = operation.inputs[0].shape
    rows, columns = (_weights(operation, axis) for axis in (0, 1))

    def add(kind: str, name: str, inputs: list[str], dtype: Any) -> Any:
        made = definition.node.add(op=kind, name=f"{node.name}/{name}", input=inputs)
        made.attr["dtype" if kind == "Const" else "T"].type = dtype.as_datatype_enum
        return made

    def constant(name: str, value: np.ndarray) -> str:
        made = add("Const", name, [], tf.as_dtype(value.dtype))
        made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        return str(made.name)

    def reshaped(name: str, value: str, shape: list[int]) -> str:
        made = add("Reshape", name, [value, constant(f"{name}_shape", np.array(shape, np.int32))], tf.float32)
        made.attr["Tshape"].type = tf.int32.as_datatype_enum
        return str(made.name)

    flat = reshaped("flat", node.input[0], [-1, height, width * channels])
    tall = add("BatchMatMulV2", "tall", [constant("rows", rows), flat], tf.float32)
    image = reshaped("image", tall.name, [-1, len(rows), width, channels])
    node.op = "BatchMatMulV2"
    node.input[:] = [constant("columns", columns), image]
    node.attr.clear()
    node.attr["T"].type = tf.float32.as_datatype_enum


def _weights(operation: Any, axis: int) -> np.ndarray:
    """What the operator does along one axis: float32 ``[size out, size in]``."""
    import tensorflow as tf

    before, after = operation.inputs[0].shape[1 + axis], operation.outputs[0].shape[1 + axis]
    units = np.eye(before, dtype=np.float32)[None, :, :, None]
    names = ["align_corners", *(["half_pixel_centers"] if operation.type == "ResizeBicubic" else [])]
    attributes = {name: operation.get_attr(name) for name in names}
    resized = getattr(tf.raw_ops, operation.type)(images=units, size=[after, before], **attributes)
    return np.ascontiguousarray(resized.numpy()[0, :, :, 0])
