"""TensorFlow function to ONNX."""

from __future__ import annotations

from typing import Any

import msgspec

from edgeml.core.errors import ConversionError
from edgeml.core.tensors import Signature

from .graph import Graph

__all__ = ["OPSET", "batched", "onnx_of_graph"]

OPSET = 17  # the newest that tf2onnx 1.17 converts without failures


def onnx_of_graph(graph: Graph, batch: int | None) -> Any:
    """A float32 `onnx.ModelProto` with the signature's names.

    Args:
        graph: The model.
        batch: Its fixed batch, or None to leave it free.

    Raises:
        ConversionError: tf2onnx knows no ONNX operator for one of the model's.
    """
    import tensorflow as tf
    import tf2onnx

    inputs = [tf.TensorSpec((batch, *spec.shape[1:]), tf.float32, name=spec.name) for spec in graph.signature.inputs]
    traced = tf.function(graph.function, input_signature=inputs)
    model, _ = tf2onnx.convert.from_function(traced, input_signature=inputs, opset=OPSET)
    foreign = sorted(_foreign(model.graph))
    if foreign:
        raise ConversionError(f"ONNX has no operator for {', '.join(foreign)}.")
    return _ordered(model, graph.signature)


def _foreign(graph: Any) -> set[str]:
    """The operators that are none of ONNX's: tf2onnx leaves TensorFlow's own where it knows no other."""
    import onnx

    found = {node.op_type for node in graph.node if not onnx.defs.has(node.op_type, OPSET, node.domain)}
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found |= _foreign(inner)
    return found


def _ordered(model: Any, signature: Signature) -> Any:
    """The outputs in the source's order: TensorFlow sorts a function's outputs by name."""
    outputs = {value.name: value for value in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(outputs[spec.name] for spec in signature.outputs)
    return model


def batched(signature: Signature, batch: int | None) -> Signature:
    """The signature with its batch fixed."""

    def fix(specs: Any) -> Any:
        return tuple(msgspec.structs.replace(spec, shape=(batch, *spec.shape[1:])) for spec in specs)

    return Signature(fix(signature.inputs), fix(signature.outputs))
