"""Conversion of TensorFlow functions to ONNX."""

from __future__ import annotations

from typing import Any

import msgspec

from edgeml.core.errors import ConversionError
from edgeml.core.tensors import Signature

from .definitions import fold_constants
from .function import Graph, flat_outputs, freeze
from .operators import ONNX
from .tf2onnx_handlers import HANDLERS, guard_padding

__all__ = ["OPSET", "graph_to_onnx", "with_batch"]

OPSET = 17  # the newest opset that tf2onnx 1.17 converts without failures


def graph_to_onnx(graph: Graph, batch: int | None) -> Any:
    """Convert a graph to a float32 `onnx.ModelProto` with the names of its signature.

    Args:
        graph: The model.
        batch: The fixed batch size, or None to keep it dynamic.

    Raises:
        ConversionError: tf2onnx cannot convert one of the model's operators.
    """
    model = _convert(fold_constants(freeze(graph, batch, ONNX)), graph)
    unsupported = sorted(_unsupported_operators(model.graph))
    if unsupported:
        raise ConversionError(
            f"Operators that are not supported in ONNX: {', '.join(unsupported)}.",
            fix="replace the layer that uses them, or build a tflite-* recipe.",
        )
    guard_padding(model.graph)
    return _order_outputs(model, with_batch(graph.signature, batch))


def _convert(function: Any, graph: Graph) -> Any:
    """Convert a function without tf2onnx's call of TensorFlow's optimizer, which reorders sums of floats."""
    import tensorflow as tf
    import tf2onnx

    inputs, outputs = ([end.name for end in side] for side in (function.inputs, function.outputs))
    names = [*(spec.name for spec in graph.signature.inputs), *(spec.name for spec in flat_outputs(graph))]
    with tf.Graph().as_default() as tensorflow_graph, tf.device("/cpu:0"):
        tf.import_graph_def(function.graph.as_graph_def(add_shapes=True), name="")
        converted = tf2onnx.tfonnx.process_tf_graph(
            tensorflow_graph,
            continue_on_error=True,
            opset=OPSET,
            custom_op_handlers=HANDLERS,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename=dict(zip([*inputs, *outputs], names, strict=True)),
        )
        return tf2onnx.optimizer.optimize_graph(converted).make_model("converted from TensorFlow")


def _unsupported_operators(graph: Any) -> set[str]:
    """Return the operators that ONNX lacks: tf2onnx keeps TensorFlow operators that it cannot convert."""
    import onnx

    unknown = {node.op_type for node in graph.node if not onnx.defs.has(node.op_type, OPSET, node.domain)}
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                unknown |= _unsupported_operators(inner)
    return unknown


def _order_outputs(model: Any, signature: Signature) -> Any:
    """Restore the source's order and sizes of outputs: TensorFlow sorts them by name, and tf2onnx drops sizes."""
    outputs = {value.name: value for value in model.graph.output}
    del model.graph.output[:]
    for spec in signature.outputs:
        for dimension, size in zip(outputs[spec.name].type.tensor_type.shape.dim, spec.shape, strict=True):
            if size is not None:
                dimension.dim_value = size
        model.graph.output.append(outputs[spec.name])
    return model


def with_batch(signature: Signature, batch: int | None) -> Signature:
    """Return the signature with another batch size; None stands for a dynamic one."""

    def fix(specs: Any) -> Any:
        return tuple(msgspec.structs.replace(spec, shape=(batch, *spec.shape[1:])) for spec in specs)

    return Signature(fix(signature.inputs), fix(signature.outputs))
