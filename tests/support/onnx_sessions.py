"""Sessions of ONNX models made of a few nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgeml.core.artifact import Needs
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["Shape", "open_onnx"]

Shape = Sequence[str | int]


def open_onnx(nodes: list[NodeProto], takes: Shape, gives: Shape, **constants: np.ndarray) -> Session:
    """A session of a model from float32 ``x`` to float32 ``y``."""
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", takes), ("y", gives))]
    held = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "odd", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x, y = (
        TensorSpec(name, tuple(None if isinstance(size, str) else size for size in shape), "float32")
        for name, shape in (("x", takes), ("y", gives))
    )
    needs = Needs(engine="onnxruntime", engine_version="1.17.0", operators=tuple(node.op_type for node in nodes))
    return find_engine("onnx")(model.SerializeToString(), Signature((x,), (y,)), needs=needs)
