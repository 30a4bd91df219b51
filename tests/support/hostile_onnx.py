"""Small ONNX files that loop for ever, or compute gigabytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["growing_onnx", "looping_onnx"]


def looping_onnx(output: str = "scores", *others: str) -> bytes:
    """A model of ``features [any, 4]`` that adds to them for centuries."""
    from onnx import TensorProto, helper, numpy_helper

    counter, going = (
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (("counter", TensorProto.INT64), ("going", TensorProto.BOOL))
    )
    value, next_value, goes_on = (
        helper.make_tensor_value_info(name, kind, None)
        for name, kind in (("value", TensorProto.FLOAT), ("next", TensorProto.FLOAT), ("on", TensorProto.BOOL))
    )
    body = helper.make_graph(
        [helper.make_node("Add", ["value", "small"], ["next"]), helper.make_node("Identity", ["going"], ["on"])],
        "body",
        [counter, going, value],
        [goes_on, next_value],
        [numpy_helper.from_array(np.array([1e-9], np.float32), "small")],
    )
    loop = helper.make_node("Loop", ["trips", "yes", "features"], ["moved"], body=body)
    constants = [numpy_helper.from_array(np.array(2**62), "trips"), numpy_helper.from_array(np.array(True), "yes")]
    return _model([loop], constants, output, others)


def growing_onnx(megabytes: int, output: str = "scores", *others: str) -> bytes:
    """A model of ``features [any, 4]`` that adds the mean over a tensor of so many MB, of which it makes two.

    The shapes that the file names are smaller.
    """
    from onnx import helper, numpy_helper

    nodes = [
        helper.make_node("ReduceMax", ["features"], ["largest"], keepdims=0),
        helper.make_node("Expand", ["largest", "size"], ["part"]),
        helper.make_node("Concat", ["part"] * (megabytes // 100), ["wide"], axis=0),
        helper.make_node("Exp", ["wide"], ["wider"]),
        helper.make_node("ReduceMean", ["wider"], ["mean"], keepdims=0),
        helper.make_node("Add", ["features", "mean"], ["moved"]),
    ]
    return _model(nodes, [numpy_helper.from_array(np.array([100 * 2**18]), "size")], output, others)


def _model(nodes: Sequence[Any], constants: Sequence[Any], output: str, others: Sequence[str]) -> bytes:
    """The model of ``moved [any, 4]``, with three scores, and labels as other outputs."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.ones((4, 3), np.float32), "weights")
    nodes = [*nodes, helper.make_node("MatMul", ["moved", "weights"], [output])]
    nodes += [helper.make_node("ArgMax", [output], [name], axis=1, keepdims=0) for name in others]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 3])]
    outputs += [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch"]) for name in others]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph(nodes, "hostile", [features], outputs, [*constants, weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data
