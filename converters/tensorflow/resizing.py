"""Rewrite bicubic and area resizing as two matrix products.

TFLite supports neither TensorFlow's bicubic nor its area resizing, and tf2onnx converts both incorrectly. Both are
linear along the rows and along the columns of an image. With fixed sizes, resizing unit vectors yields their matrices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .rewriting import function_of

__all__ = ["replace_resizing_by_matmul"]

_KINDS = {"ResizeArea", "ResizeBicubic"}


def replace_resizing_by_matmul(function: Any) -> Any:
    """Replace bicubic and area resizing of known sizes by matrix products.

    Args:
        function: A `ConcreteFunction` without captured tensors.
    """
    graph = function.graph
    operations = [each for each in graph.get_operations() if each.type in _KINDS and _is_supported(each)]
    if not operations:
        return function
    definition = graph.as_graph_def()
    nodes = {node.name: node for node in definition.node}
    for operation in operations:
        _replace(definition, nodes[operation.name], operation)
    return function_of(definition, function)


def _is_supported(operation: Any) -> bool:
    import tensorflow as tf

    image, out = operation.inputs[0], operation.outputs[0]
    known = image.shape[1:].is_fully_defined() and out.shape[1:].is_fully_defined()
    return bool(known and image.dtype == tf.float32)


def _replace(definition: Any, node: Any, operation: Any) -> None:
    import tensorflow as tf

    _, height, width, channels = operation.inputs[0].shape
    rows, columns = (_weights(operation, axis) for axis in (0, 1))

    def add(kind: str, name: str, inputs: list[str], dtype: Any) -> Any:
        added_node = definition.node.add(op=kind, name=f"{node.name}/{name}", input=inputs)
        added_node.attr["dtype" if kind == "Const" else "T"].type = dtype.as_datatype_enum
        return added_node

    def constant(name: str, value: np.ndarray) -> str:
        added_node = add("Const", name, [], tf.as_dtype(value.dtype))
        added_node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        return str(added_node.name)

    def reshaped(name: str, value: str, shape: list[int]) -> str:
        added_node = add("Reshape", name, [value, constant(f"{name}_shape", np.array(shape, np.int32))], tf.float32)
        added_node.attr["Tshape"].type = tf.int32.as_datatype_enum
        return str(added_node.name)

    flat = reshaped("flat", node.input[0], [-1, height, width * channels])
    tall = add("BatchMatMulV2", "tall", [constant("rows", rows), flat], tf.float32)
    image = reshaped("image", tall.name, [-1, len(rows), width, channels])
    node.op = "BatchMatMulV2"
    node.input[:] = [constant("columns", columns), image]
    node.attr.clear()
    node.attr["T"].type = tf.float32.as_datatype_enum


def _weights(operation: Any, axis: int) -> np.ndarray:
    """Return the matrix that the operator applies along one axis: float32 ``[output size, input size]``."""
    import tensorflow as tf

    before, after = operation.inputs[0].shape[1 + axis], operation.outputs[0].shape[1 + axis]
    units = np.eye(before, dtype=np.float32)[None, :, :, None]
    names = ["align_corners", *(["half_pixel_centers"] if operation.type == "ResizeBicubic" else [])]
    attributes = {name: operation.get_attr(name) for name in names}
    resized = getattr(tf.raw_ops, operation.type)(images=units, size=[after, before], **attributes)
    return np.ascontiguousarray(resized.numpy()[0, :, :, 0])
