"""Existing ONNX files as sources, against bare onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgeml
from edgeml.cli.file_inspection import FileInspector, InspectorSettings
from edgeml.core.errors import InputError
from edgeml.sources.onnx_file import open_source
from tests.support.packing import artifact_bytes

RECIPES = ["onnx-fp32", "onnx-fp16", "onnx-dynamic", "onnx-int8"]


def small(
    folder: Path, *, batch: int | str = "n", size: int | str = 16, opset: int = 17, dtype: int = TensorProto.FLOAT
) -> Path:
    """Two dense layers and a softmax, with names that only ONNX takes."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        for name, shape in {"w1": (16, 64), "w2": (64, 5)}.items()
    ]
    nodes = [
        helper.make_node("MatMul", ["in/x:0", "w1"], ["h"]),
        helper.make_node("Relu", ["h"], ["in_x_0"]),  # the plain name of the input
        helper.make_node("MatMul", ["in_x_0", "w2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["out/y:0"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("in/x:0", dtype, [batch, size])],
        [helper.make_tensor_value_info("out/y:0", TensorProto.FLOAT, [batch, 5])],
        weights,
    )
    path = folder / "small.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()
    )
    return path


def samples(count: int = 64) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 16)).astype(np.float32)


@pytest.mark.parametrize("opset", [11, 17])
def test_a_float_file_is_packaged_in_every_onnx_precision(tmp_path: Path, opset: int) -> None:
    path = small(tmp_path, opset=opset)
    package = edgeml.build(path, calibration=samples(), recipes=RECIPES)
    assert package.released == tuple(RECIPES)
    (wanted,) = onnxruntime.InferenceSession(path).run(None, {"in/x:0": samples(20)})
    session = package.session("onnx-fp32")
    np.testing.assert_allclose(session.run({"in_x_0": samples(20)})["out_y_0"], wanted, atol=1e-6)
    assert package.manifest.source.decision is not None
    assert package.manifest.artifacts[0].lineage == ("the given .onnx file",)


def test_the_other_formats_are_refused_with_the_reason(tmp_path: Path) -> None:
    package = edgeml.build(small(tmp_path), calibration=samples())
    refused = {item.recipe: item for item in package.manifest.refused}
    assert set(refused) == {recipe.id for recipe in edgeml.RECIPES} - set(RECIPES)
    assert all("Converting .onnx files to tflite is not supported" in item.reason for item in refused.values())


@pytest.mark.parametrize("recipe", RECIPES[1:])
def test_a_file_in_another_precision_is_that_recipe(net_package: edgeml.Package, tmp_path: Path, recipe: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(artifact_bytes(net_package, recipe))
    package = edgeml.build(path)
    assert package.released == (recipe,)
    assert artifact_bytes(package, recipe) == path.read_bytes()  # its names were canonical
    assert package.manifest.artifacts[0].evaluation.fidelity.max_error == 0


def test_a_fixed_batch_stays_and_a_free_one_can_be_fixed(tmp_path: Path) -> None:
    (fixed,) = edgeml.build(small(tmp_path, batch=3), recipes=["onnx-fp32"]).manifest.artifacts
    assert fixed.signature.inputs[0].shape == (3, 16)
    (made,) = edgeml.build(small(tmp_path), recipes=["onnx-fp32"], batch=4).manifest.artifacts
    assert made.signature.inputs[0].shape == (4, 16)
    package = edgeml.build(small(tmp_path, batch=3), recipes=["onnx-fp32"], batch=4)
    assert package.manifest.refused[0].reason == "The file has a fixed batch size of 3; got batch=4."


def test_functions_of_the_file_itself_are_taken(tmp_path: Path) -> None:
    path = small(tmp_path)
    model = onnx.load(path)
    opset = [helper.make_opsetid("", 17)]
    body = [helper.make_node("Relu", ["a"], ["b"])]
    model.functions.append(helper.make_function("mine", "Gate", ["a"], ["b"], body, opset))
    model.graph.node[1].op_type, model.graph.node[1].domain = "Gate", "mine"
    model.opset_import.append(helper.make_opsetid("mine", 1))
    path.write_bytes(model.SerializeToString())
    assert edgeml.build(path, recipes=["onnx-fp32"]).released == ("onnx-fp32",)


def test_weights_that_are_listed_as_inputs(tmp_path: Path) -> None:
    path = small(tmp_path)
    model = onnx.load(path)
    model.graph.input.insert(0, helper.make_tensor_value_info("w1", TensorProto.FLOAT, [16, 64]))
    path.write_bytes(model.SerializeToString())
    package = edgeml.build(path, recipes=["onnx-fp32"])
    assert [spec.name for spec in package.manifest.source.signature.inputs] == ["in_x_0"]
    assert package.released


def test_whole_numbers_in(tmp_path: Path) -> None:
    table = numpy_helper.from_array(np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32), "table")
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "t"], ["v"])],
        "gather",
        [helper.make_tensor_value_info("t", TensorProto.INT64, [None, 2])],
        [helper.make_tensor_value_info("v", TensorProto.FLOAT, [None, 2, 4])],
        [table],
    )
    path = tmp_path / "gather.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    whole = np.random.default_rng(0).integers(0, 3, (40, 2))
    package = edgeml.build(path, evaluation=whole, recipes=["onnx-fp32"])
    assert package.released
    np.testing.assert_array_equal(package.session("onnx-fp32").predict(whole), numpy_helper.to_array(table)[whole])


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for data in (b"no model at all", b""):
        path.write_bytes(data)
        with pytest.raises(InputError, match="is not an ONNX file"):
            open_source(path)


# Precision


WEIGHTS = (np.random.default_rng(2).standard_normal((16, 5)) / 4).astype(np.float32)
HALF, BYTES = WEIGHTS.astype(np.float16), np.rint(WEIGHTS * 80).astype(np.int8)
SCALE = numpy_helper.from_array(np.array(1 / 80, np.float32), "scale")
OUTPUT = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])
AS_HALF = [helper.make_node("Cast", ["x"], ["x_half"], to=10), helper.make_node("MatMul", ["x_half", "w"], ["y_half"])]


def saved(folder: Path, nodes: list[onnx.NodeProto], *constants: onnx.TensorProto) -> Path:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])]
    graph = helper.make_graph(nodes, "weights", inputs, [OUTPUT], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = folder / "weights.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def half_in_constant(folder: Path) -> Path:
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(HALF))
    return saved(folder, [constant, *AS_HALF, helper.make_node("Cast", ["y_half"], ["y"], to=1)])


def half_in_branches(folder: Path) -> Path:
    branches = {
        f"{name}_branch": helper.make_graph(
            [*AS_HALF, helper.make_node("Cast", ["y_half"], [name], to=1)],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(HALF, "w")],
        )
        for name in ("then", "else")
    }
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["some"], to=9),
        helper.make_node("If", ["some"], ["y"], **branches),
    ]
    return saved(folder, nodes)


def half_in_computation(folder: Path) -> Path:
    nodes = [
        helper.make_node("Cast", ["weights"], ["w"], to=10),
        *AS_HALF,
        helper.make_node("Cast", ["y_half"], ["y"], to=1),
    ]
    return saved(folder, nodes, numpy_helper.from_array(WEIGHTS, "weights"))


def bytes_behind_a_cast(folder: Path) -> Path:
    nodes = [
        helper.make_node("Cast", ["bytes"], ["steps"], to=1),
        helper.make_node("Mul", ["steps", "scale"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    return saved(folder, nodes, numpy_helper.from_array(BYTES, "bytes"), SCALE)


def dynamic_product(folder: Path) -> Path:
    node = helper.make_node("DynamicQuantizeMatMul", ["x", "bytes", "scale"], ["y"], domain="com.microsoft")
    return saved(folder, [node], numpy_helper.from_array(BYTES, "bytes"), SCALE)


@pytest.mark.parametrize(
    ("write", "precision"),
    [
        (half_in_constant, "fp16"),
        (half_in_branches, "fp16"),
        (half_in_computation, "fp16"),
        (bytes_behind_a_cast, "dynamic"),
        (dynamic_product, "dynamic"),
    ],
)
def test_weights_show_the_precision_wherever_they_are(
    tmp_path: Path, write: Callable[[Path], Path], precision: str
) -> None:
    path = write(tmp_path)
    source = open_source(path)
    assert (source.precision, source.info.architecture) == (precision, f"onnx-{precision}")
    report = FileInspector(InspectorSettings(path, "onnx")).inspect()
    assert report.recipes == (f"onnx-{precision}",)
    assert "float16" in report.contents.weight_bytes or precision == "dynamic" or write is half_in_computation


def test_a_file_of_bytes_is_packaged_as_it_is(tmp_path: Path) -> None:
    package = edgeml.build(bytes_behind_a_cast(tmp_path), recipes=["onnx-fp32", "onnx-dynamic", "onnx-int8"])
    assert package.released == ("onnx-dynamic",)
    x = samples(5)
    outputs = package.session("onnx-dynamic").run({"x": x})["y"]
    np.testing.assert_allclose(outputs, np.matmul(x, BYTES / np.float32(80)), atol=1e-5)


def test_double_weights_and_double_constants_are_float32_or_better(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=11),
        helper.make_node("MatMul", ["wide", "w"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=1),
    ]
    path = saved(tmp_path, nodes, numpy_helper.from_array(WEIGHTS.astype(np.float64), "w"))
    package = edgeml.build(path, recipes=["onnx-fp32", "onnx-dynamic"])
    assert package.released == ("onnx-fp32",)
    (wanted,) = onnxruntime.InferenceSession(path).run(None, {"x": samples(5)})
    np.testing.assert_array_equal(package.session("onnx-fp32").predict(samples(5)), wanted)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Cast", ["half"], ["factor"], to=1),
        helper.make_node("Mul", ["product", "factor"], ["y"]),
    ]
    half = numpy_helper.from_array(np.array(0.5), "half")
    assert open_source(saved(tmp_path, nodes, numpy_helper.from_array(WEIGHTS, "w"), half)).precision == "fp32"
