"""ONNX files with integers in and out, and with token numbers as floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgeml

TABLE = np.random.default_rng(0).normal(size=(9000, 8)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(8, 5000)).astype(np.float32)


def save(path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], **constants: Any) -> Path:
    """A model of tensors ``[N, sizes]``, each by its dtype and sizes."""
    ends = [
        [helper.make_tensor_value_info(name, kind, ["N", *sizes]) for name, (kind, *sizes) in side.items()]
        for side in (inputs, outputs)
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "integers", ends[0], ends[1], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def test_ids_of_64_bits_come_back_as_they_are(tmp_path: Path) -> None:
    path = save(
        tmp_path / "next.onnx",
        [helper.make_node("Add", ["x", "one"], ["y"])],
        {"x": (TensorProto.INT64, 3)},
        {"y": (TensorProto.INT64, 3)},
        one=np.array([1]),
    )
    ids = np.arange(2**60, 2**60 + 99).reshape(-1, 3)
    package = edgeml.build(path, evaluation=ids, recipes="onnx-fp32", task="regression")
    found = package.session("onnx-fp32").predict(ids)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, ids + 1)
    assert package.manifest.artifacts[0].evaluation.fidelity.equal == 1.0
    for way in (iter(ids), iter([ids[:5], ids[5:]])):
        np.testing.assert_array_equal(package.session("onnx-fp32").predict(way), ids + 1)
    assert package.session("onnx-fp32").bind(2).outputs["y"].dtype == np.int64


@pytest.mark.slow
def test_float16_keeps_tokens_and_class_numbers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["tokens", "shape"], ["column"]),
        helper.make_node("Cast", ["column"], ["places"], to=TensorProto.INT32),
        helper.make_node("Gather", ["table", "places"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["number"], axis=1, keepdims=0),
        helper.make_node("Cast", ["number"], ["best"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["best", "axis"], ["y"]),
    ]
    path = save(
        tmp_path / "tokens.onnx",
        nodes,
        {"tokens": (TensorProto.FLOAT, 1)},
        {"y": (TensorProto.FLOAT, 1)},
        table=TABLE,
        weights=WEIGHTS,
        shape=np.array([-1]),
        axis=np.array([1]),
    )
    tokens = np.random.default_rng(2).integers(0, 9000, size=(500, 1))
    package = edgeml.build(path, calibration=tokens, evaluation=tokens, recipes=["onnx-fp32", "onnx-fp16", "onnx-int8"])
    assert package.manifest.source.whole_inputs == ("tokens",)
    wanted = (TABLE[tokens[:, 0]] @ WEIGHTS).argmax(axis=1)
    for recipe, least in (("onnx-fp32", 1.0), ("onnx-fp16", 0.99), ("onnx-int8", 0.8)):
        found = package.session(recipe).run({"tokens": tokens})["y"]
        assert (found[:, 0] == wanted).mean() >= least, recipe


def test_a_float_input_that_is_also_computed_with_holds_no_whole_numbers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["places"], to=TensorProto.INT32),
        helper.make_node("Gather", ["table", "places"], ["rows"]),
        helper.make_node("Mul", ["x", "x"], ["z"]),
    ]
    ends = {"rows": (TensorProto.FLOAT, 8), "z": (TensorProto.FLOAT,)}
    path = save(tmp_path / "both.onnx", nodes, {"x": (TensorProto.FLOAT,)}, ends, table=TABLE)
    x = np.random.default_rng(0).uniform(0, 100, 40)
    package = edgeml.build(path, evaluation=x, recipes="onnx-fp32")
    assert package.manifest.source.whole_inputs == ()
