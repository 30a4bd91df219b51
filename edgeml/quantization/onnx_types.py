"""Types of the tensors of an ONNX model that ONNX's own inference does not know, as behind operators of ai.onnx.ml."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["complete_types"]

_TENSOR = re.compile(r"tensor\((\w+)\)")


def complete_types(model: Any) -> None:
    """Add to an `onnx.ModelProto` the types of all tensors of its graph that lack one, as onnxruntime infers them.

    onnxruntime's quantizer fails on matrix products of such tensors, or leaves them out.
    """
    import onnx
    import onnxruntime

    graph = model.graph
    known = {
        value.name for value in (*graph.input, *graph.output, *graph.value_info) if value.type.HasField("tensor_type")
    }
    unknown = [name for node in graph.node for name in node.output if name and name not in known]
    if not unknown:
        return
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in unknown)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for output in session.get_outputs():
        tensor = _TENSOR.fullmatch(output.type)  # as tensor(float), which ONNX names FLOAT
        if output.name not in known and tensor is not None:
            # An unknown shape is empty here, like that of a scalar.
            shape = [size if isinstance(size, int) else None for size in output.shape] or None
            dtype = onnx.TensorProto.DataType.Value(tensor[1].upper())
            graph.value_info.append(onnx.helper.make_tensor_value_info(output.name, dtype, shape))
