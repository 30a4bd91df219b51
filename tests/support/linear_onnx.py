"""An ONNX file that multiplies and adds: the quickest source of a package, whose reference a test may give."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["write_linear_onnx"]


def write_linear_onnx(path: Path, weights: np.ndarray, *, softmax: bool) -> None:
    """Writes a model of ``x @ weights``, ``[samples, inputs]`` to ``[samples, outputs]``.

    Args:
        path: The file.
        weights: ``[inputs, outputs]``.
        softmax: Whether it ends in one, and so classifies.
    """
    from onnx import TensorProto, checker, helper, numpy_helper, save

    nodes = [helper.make_node("MatMul", ["x", "weights"], ["product" if softmax else "answers"])]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["product"], ["answers"], axis=1))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in zip(("x", "answers"), weights.shape, strict=True)
    ]
    graph = helper.make_graph(
        nodes, "linear", ends[:1], ends[1:], [numpy_helper.from_array(weights.astype(np.float32), "weights")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    save(model, path)
