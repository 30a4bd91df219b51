"""Operators that tf2onnx lacks or converts wrongly, against Keras through the raw engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from edgeml.converters.tensorflow.tf2onnx_handlers import guard_padding
from tests.support.keras_cases import Converted


def test_operators_that_tf2onnx_lacks_answer_as_in_keras(convertible: Callable[[str], Converted]) -> None:
    x = np.random.default_rng(0).standard_normal((8, 16)).astype(np.float32)
    x[0, :6] = [-1.0, 0.0, 0.5, -1e-6, 1e-6, -6.0]  # on boundaries, and where differences cancel
    convertible("functions").check("onnx-fp32", {"x": x})


@pytest.mark.parametrize("padding", [None, 0.0, 1.0])
def test_zeros_ahead_of_a_max_pool_become_the_least_positive_number(padding: float | None) -> None:
    constants = [onnx.numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "pads")]
    if padding is not None:
        constants.append(onnx.numpy_helper.from_array(np.array(padding, np.float32), "value"))
    inputs = ["x", "pads", *(["value"] if padding is not None else [])]
    nodes = [
        onnx.helper.make_node("Pad", inputs, ["padded"]),
        onnx.helper.make_node("MaxPool", ["padded"], ["y"], kernel_shape=[2, 2]),
    ]
    graph = onnx.helper.make_graph(nodes, "pooled", [], [], constants)
    guard_padding(graph)
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = float(values[graph.node[0].input[2]])
    assert found == (1.0 if padding else np.finfo(np.float32).tiny)
