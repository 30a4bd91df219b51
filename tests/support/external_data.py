"""ONNX models that keep data in other files, in every place where a file may say so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["EXTERNAL_DATA", "linear"]


def _elsewhere(name: str = "w", dims: tuple[int, ...] = (4, 4)) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret.bin")
    return tensor


def _sparse() -> onnx.SparseTensorProto:
    found = onnx.SparseTensorProto(dims=[4, 4])
    found.values.CopyFrom(_elsewhere("sparse", (2,)))
    found.indices.CopyFrom(numpy_helper.from_array(np.array([0, 1]), "indices"))
    return found


def linear() -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])],
        [numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _nested(model: onnx.ModelProto, inner: onnx.GraphProto) -> None:
    node = model.graph.node.add(op_type="If", input=["c"], output=["z"])
    node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH, g=inner)


def _replace_weights(model: onnx.ModelProto, tensor: TensorProto) -> None:
    del model.graph.initializer[:1]
    model.graph.initializer.append(tensor)


def _in_initializer(model: onnx.ModelProto) -> None:
    _replace_weights(model, _elsewhere())


def _in_sparse_initializer(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(_sparse())


def _in_constant(model: onnx.ModelProto) -> None:
    node = model.graph.node.add(op_type="Constant", output=["k"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=_elsewhere())


def _in_sparse_constant(model: onnx.ModelProto) -> None:
    node = model.graph.node.add(op_type="Constant", output=["k"])
    node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR, sparse_tensor=_sparse())


def _in_list_of_tensors(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="many", type=onnx.AttributeProto.TENSORS, tensors=[_elsewhere()])


def _in_nested_graph(model: onnx.ModelProto) -> None:
    _nested(model, onnx.GraphProto(name="inner", initializer=[_elsewhere()]))


def _in_constant_of_nested_graph(model: onnx.ModelProto) -> None:
    inner = onnx.GraphProto(name="inner")
    node = inner.node.add(op_type="Constant", output=["k"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=_elsewhere())
    _nested(model, inner)


def _in_function(model: onnx.ModelProto) -> None:
    function = model.functions.add(name="f", domain="mine")
    node = function.node.add(op_type="Constant", output=["k"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=_elsewhere())


def _in_default_of_function(model: onnx.ModelProto) -> None:
    function = model.functions.add(name="f", domain="mine")
    function.attribute_proto.add(name="k", type=onnx.AttributeProto.TENSOR, t=_elsewhere())


def _in_filled_shape(model: onnx.ModelProto) -> None:
    node = model.graph.node.add(op_type="ConstantOfShape", input=["s"], output=["k"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=_elsewhere(dims=(1,)))


def _in_function_of_nested_graph(model: onnx.ModelProto) -> None:
    function = model.functions.add(name="f", domain="mine")
    node = function.node.add(op_type="If", input=["c"], output=["z"])
    inner = onnx.GraphProto(name="inner", initializer=[_elsewhere()])
    node.attribute.add(name="else_branch", type=onnx.AttributeProto.GRAPH, g=inner)


def _in_list_of_graphs(model: onnx.ModelProto) -> None:
    inner = onnx.GraphProto(name="inner", sparse_initializer=[_sparse()])
    model.graph.node[0].attribute.add(name="many", type=onnx.AttributeProto.GRAPHS, graphs=[inner])


def _in_memory(model: onnx.ModelProto) -> None:
    """onnxruntime reads this location as an address in memory."""
    tensor = _elsewhere()
    tensor.external_data[0].value = "*/_ORT_MEM_ADDR_/*"
    tensor.external_data.add(key="offset", value="4096")
    _replace_weights(model, tensor)


def _without_its_mark(model: onnx.ModelProto) -> None:
    tensor = _elsewhere()
    tensor.ClearField("data_location")
    _replace_weights(model, tensor)


def _in_training(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.initializer.append(_elsewhere())


EXTERNAL_DATA: dict[str, Callable[[onnx.ModelProto], None]] = {
    "initializer": _in_initializer,
    "sparse initializer": _in_sparse_initializer,
    "constant": _in_constant,
    "sparse constant": _in_sparse_constant,
    "list of tensors": _in_list_of_tensors,
    "nested graph": _in_nested_graph,
    "constant of nested graph": _in_constant_of_nested_graph,
    "function": _in_function,
    "default of function": _in_default_of_function,
    "filled shape": _in_filled_shape,
    "function of nested graph": _in_function_of_nested_graph,
    "list of graphs": _in_list_of_graphs,
    "memory": _in_memory,
    "without its mark": _without_its_mark,
    "training": _in_training,
}
"""Functions that put data of `linear` into another file, ``../secret.bin``, by place."""
