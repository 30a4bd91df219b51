"""Small ONNX models in the forms that exporters write, as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Tensors", "answers", "dense", "framed", "gated_unit", "random_inputs", "saved_net"]

Tensors = Mapping[str, tuple[int, Sequence[int | str | None] | None]]


def saved_net(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Tensors,
    outputs: Tensors,
    weights: Mapping[str, np.ndarray] | None = None,
    *,
    opsets: Mapping[str, int] | None = None,
    ir_version: int = 8,
) -> Path:
    """Write a model of nodes; inputs and outputs are dtypes and shapes by name."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(name, dtype, shape) for name, (dtype, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, dtype, shape) for name, (dtype, shape) in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    imports = [helper.make_opsetid(domain, version) for domain, version in (opsets or {"": 17}).items()]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=ir_version), path)
    return path


def dense(
    path: Path,
    *,
    shape: Sequence[int | str | None] = ("n", 10),
    output: Sequence[int | str | None] = ("n", 5),
    dtype: int = TensorProto.FLOAT,
    name: str = "x",
    **options: Any,
) -> Path:
    """Two dense layers over ten numbers, of any dtype."""
    rng = np.random.default_rng(0)
    weights = {"w1": rng.standard_normal((10, 16)), "w2": rng.standard_normal((16, 5))}
    nodes = [
        helper.make_node("Cast", [name], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["floats", "w1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "w2"], ["y"]),
    ]
    arrays = {key: array.astype(np.float32) for key, array in weights.items()}
    outputs = {"y": (TensorProto.FLOAT, output)}
    return saved_net(path, nodes, {name: (dtype, shape)}, outputs, arrays, **options)


def framed(path: Path, *, length: int | str | None = "length") -> Path:
    """A net on sound ``[n, length]``: features of each frame ``[n, frames, 8]``, and scores of five classes."""
    rng = np.random.default_rng(0)
    arrays = {
        "filters": rng.standard_normal((8, 1, 9)).astype(np.float32),
        "classes": rng.standard_normal((8, 5)).astype(np.float32),
        "channel": np.array([1]),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["sound", "channel"], ["channels"]),
        helper.make_node("Conv", ["channels", "filters"], ["filtered"], strides=[4]),
        helper.make_node("Relu", ["filtered"], ["active"]),
        helper.make_node("Transpose", ["active"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["active"], ["mean"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["mean", "classes"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=-1),
    ]
    number = TensorProto.FLOAT
    outputs: Tensors = {"frames": (number, ["n", "frames", 8]), "scores": (number, ["n", 5])}
    return saved_net(path, nodes, {"sound": (number, ["n", length])}, outputs, arrays)


def gated_unit(path: Path, *, state: str = "state", next_state: str = "stateN", batch: int | str = "batch") -> Path:
    """A recurrent net of one step: ``[batch, length]`` and a state ``[2, batch, 6]`` to a score and the next state."""
    rng = np.random.default_rng(0)
    weights = {
        "enter": rng.standard_normal((1, 18, 8)) / 2,
        "stay": rng.standard_normal((1, 18, 6)) / 2,
        "leave": rng.standard_normal((6, 1)),
    }
    arrays = {name: array.astype(np.float32) for name, array in weights.items()}
    arrays |= {"first": np.array([0]), "second": np.array([1]), "front": np.array([0])}
    nodes = [
        helper.make_node("Unsqueeze", ["input", "front"], ["steps"]),
        helper.make_node("Gather", [state, "first"], ["before"], axis=0),
        helper.make_node("Gather", [state, "second"], ["count"], axis=0),
        helper.make_node("GRU", ["steps", "enter", "stay", "", "", "before"], ["", "after"], hidden_size=6),
        helper.make_node("Mul", ["after", "gain"], ["scaled"]),
        helper.make_node("Add", ["count", "scaled"], ["sum"]),
        helper.make_node("Concat", ["after", "sum"], [next_state], axis=0),
        helper.make_node("Squeeze", ["after", "front"], ["flat"]),
        helper.make_node("MatMul", ["flat", "leave"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["output"]),
    ]
    number = TensorProto.FLOAT
    inputs: Tensors = {
        "input": (number, [batch, "length"]),
        state: (number, [2, batch, 6]),
        "gain": (number, []),
    }
    outputs: Tensors = {"output": (number, [batch, 1]), next_state: (number, ["two", batch, "units"])}
    return saved_net(path, nodes, inputs, outputs, arrays)


def answers(path: Path, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Outputs of a file in onnxruntime alone."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, dict(inputs))]


def random_inputs(count: int, *sizes: int, seed: int = 1) -> np.ndarray:
    """Standard normal numbers ``[count, ...]``, float32."""
    return np.random.default_rng(seed).standard_normal((count, *sizes)).astype(np.float32)
