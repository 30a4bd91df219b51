"""Makes the tiny models of runtimes/engines/tiny_models.py anew and prints their bytes.

python tests/support/make_tiny_models.py
"""

from __future__ import annotations

import base64

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

__all__ = ["onnx_bytes", "tflite_bytes"]

WEIGHTS = 2 * np.eye(4, dtype=np.float32)


def tflite_bytes() -> bytes:
    """One fully connected operator that doubles four values."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.frombuffer(WEIGHTS.tobytes(), np.uint8)
    graph.tensors = []
    for name, shape, buffer in (("x", [1, 4], 0), ("w", [4, 4], 1), ("y", [1, 4], 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, schema.TensorType.FLOAT32, buffer
        graph.tensors.append(tensor)
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.version = 1
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    operator.inputs, operator.outputs = [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    model.operatorCodes, graph.operators, graph.inputs, graph.outputs = [code], [operator], [0], [2]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def onnx_bytes() -> bytes:
    """One matrix product that doubles four values."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    weights = numpy_helper.from_array(WEIGHTS, "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "tiny", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="")
    return model.SerializeToString()


if __name__ == "__main__":
    for data in (tflite_bytes(), onnx_bytes()):
        print(base64.b64encode(data).decode())  # noqa: T201  # what it is for
