"""TensorFlow function to ONNX."""

from __future__ import annotations

from typing import Any

import msgspec

from edgeml.core.errors import ConversionError
from edgeml.core.tensors import Signature

from .function import Graph, frozen
from .tf2onnx_handlers import HANDLERS, guard_padding

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
    import tf2onnx

    function = frozen(graph, batch)
    model, _ = tf2onnx.convert.from_function(function, function.input_signature, OPSET, custom_op_handlers=HANDLERS)
    foreign = sorted(_foreign(model.graph))
    if foreign:
        raise ConversionError(
            f"ONNX has no operator for {', '.join(foreign)}.",
            fix="replace the layer that it is of, or see whether a tflite-* recipe is made.",
        )
    guard_padding(model.graph)
    return _ordered(model, batched(graph.signature, batch))


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
    """The outputs in the source's order, with its sizes: TensorFlow sorts them by name, tf2onnx loses sizes."""
    outputs = {value.name: value for value in model.graph.output}
    del model.graph.output[:]
    for spec in signature.outputs:
        for dimension, size in zip(outputs[spec.name].type.tensor_type.shape.dim, spec.shape, strict=True):
            if size is not None:
                dimension.dim_value = size
        model.graph.output.append(outputs[spec.name])
    return model


def batched(signature: Signature, batch: int | None) -> Signature:
    """The signature with its batch fixed."""

    def fix(specs: Any) -> Any:
        return tuple(msgspec.structs.replace(spec, shape=(batch, *spec.shape[1:])) for spec in specs)

    return Signature(fix(signature.inputs), fix(signature.outputs))
