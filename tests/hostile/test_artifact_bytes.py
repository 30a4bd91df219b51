"""Packages in which every digest holds, and whose model files would harm the engine that loads them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from onnx import TensorProto, helper, numpy_helper

import edgeml
from edgeml.core.errors import PackageError, TargetError, UnsupportedModelError
from tests.support.external_data import EXTERNAL_DATA
from tests.support.forging import forged

Change = Callable[[Any], None]


@pytest.fixture
def packaged(small_package_file: Path, tmp_path: Path) -> Callable[..., edgeml.Package]:
    """Function that puts other bytes into the package's artifact of a recipe."""
    data = small_package_file.read_bytes()

    def packaged(recipe: str, model: bytes | Callable[[bytes], bytes]) -> edgeml.Package:
        def change(manifest: Any, contents: dict[str, bytes]) -> None:
            file = next(record["file"] for record in manifest["artifacts"] if record["recipe"] == recipe)
            contents[file] = model if isinstance(model, bytes) else model(contents[file])

        path = tmp_path / "forged.edgeml"
        path.write_bytes(forged(data, change))
        return edgeml.open_package(path)

    return packaged


def refused(package: edgeml.Package, recipe: str, match: str) -> None:
    with pytest.raises(PackageError, match=match):
        package.session(recipe)


# --- ONNX ----------------------------------------------------------------------------------------------------------


def changed_onnx(change: Callable[[onnx.ModelProto], None]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        model = onnx.ModelProto.FromString(data)
        change(model)
        return model.SerializeToString()

    return changed


@pytest.mark.parametrize("hide", EXTERNAL_DATA.values(), ids=EXTERNAL_DATA.keys())
def test_data_in_another_file(packaged: Callable[..., edgeml.Package], hide: Callable[[onnx.ModelProto], None]) -> None:
    refused(packaged("onnx-fp32", changed_onnx(hide)), "onnx-fp32", "is stored in another file")


def test_data_in_another_file_is_refused_in_a_trusted_package(
    packaged: Callable[..., edgeml.Package], tmp_path: Path
) -> None:
    packaged("onnx-fp32", changed_onnx(EXTERNAL_DATA["initializer"]))
    package = edgeml.open_package(tmp_path / "forged.edgeml", trust_source=True)
    refused(package, "onnx-fp32", "is stored in another file")


def test_the_engine_itself_reads_no_other_file(
    packaged: Callable[..., edgeml.Package], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the static check onnxruntime is kept from other files too."""
    from edgeml.runtimes.engines.onnxruntime_providers import open_on

    monkeypatch.chdir(tmp_path)
    weights = np.arange(12, dtype=np.float32)
    weights.tofile("weights.bin")
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
        [tensor],
    )
    for location in ("weights.bin", f"../{tmp_path.name}/weights.bin", str(tmp_path / "weights.bin"), "mnt"):
        graph.initializer[0].external_data[0].value = location
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
        with pytest.raises(Exception, match=r"[Ee]xternal|filesystem"):  # onnxruntime's have no common base
            open_on(onnxruntime, model, onnxruntime.SessionOptions, "cpu")


def test_the_format_of_onnxruntime_itself(packaged: Callable[..., edgeml.Package], tmp_path: Path) -> None:
    def in_ort_format(data: bytes) -> bytes:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.optimized_model_filepath = str(tmp_path / "model.ort")
        options.add_session_config_entry("session.save_model_format", "ORT")
        onnxruntime.InferenceSession(data, options)
        return (tmp_path / "model.ort").read_bytes()

    refused(packaged("onnx-fp32", in_ort_format), "onnx-fp32", "own ORT format")


def test_a_file_that_is_onnx_and_the_format_of_onnxruntime_at_once(packaged: Callable[..., edgeml.Package]) -> None:
    def both(data: bytes) -> bytes:
        model = onnx.ModelProto.FromString(data)
        model.ClearField("producer_name")
        return b"\x12\x06xxORTM" + model.SerializeToString()

    assert onnx.ModelProto.FromString(b"\x12\x06xxORTM").producer_name == "xxORTM"
    refused(packaged("onnx-fp32", both), "onnx-fp32", "own ORT format")


@pytest.mark.parametrize(
    ("domain", "kind"), [("evil.example", "Run"), ("com.microsoft", "EPContext"), ("org.pytorch.aten", "ATen")]
)
def test_operators_of_other_domains(packaged: Callable[..., edgeml.Package], domain: str, kind: str) -> None:
    def add(model: onnx.ModelProto) -> None:
        model.graph.node.add(op_type=kind, domain=domain, input=[model.graph.input[0].name], output=["k"])
        model.opset_import.add(domain=domain, version=1)

    with pytest.raises(UnsupportedModelError, match=f"the operator {kind} is of the domain '{domain}'"):
        packaged("onnx-fp32", changed_onnx(add)).session("onnx-fp32")


def _recursive(model: onnx.ModelProto) -> None:
    for name, called in (("f", "g"), ("g", "f")):
        function = model.functions.add(name=name, domain="mine", input=["a"], output=["b"])
        function.node.add(op_type=called, domain="mine", input=["a"], output=["b"])


def _nested(model: onnx.ModelProto) -> None:
    graph = onnx.GraphProto(name="innermost")
    for _ in range(32):
        outer = onnx.GraphProto(name="inner")
        outer.node.add(op_type="If", input=["c"]).attribute.add(name="then_branch", g=graph)
        graph = outer
    model.graph.node.add(op_type="If", input=["c"]).attribute.add(name="then_branch", g=graph)


def _declared(model: onnx.ModelProto) -> None:
    model.graph.initializer.add(name="huge", data_type=TensorProto.FLOAT, dims=[2**31, 2**31], raw_data=bytes(4))


def _asked_for(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array([2**40], np.int64), "huge"))
    model.graph.node.add(op_type="ConstantOfShape", input=["huge"], output=["k"])


def _renamed(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "other"


def _of_another_dtype(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def _of_another_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value += 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_recursive, "calls itself"),
        (_nested, "nested more than"),
        (_declared, "declares the shape"),
        (_asked_for, "asks for a tensor"),
        (_renamed, "has the inputs other"),
        (_of_another_dtype, "is float64"),
        (_of_another_shape, "but the package declares"),
    ],
)
def test_onnx_models_that_are_not_as_they_should_be(
    packaged: Callable[..., edgeml.Package], change: Callable[[onnx.ModelProto], None], reason: str
) -> None:
    refused(packaged("onnx-fp32", changed_onnx(change)), "onnx-fp32", reason)


@pytest.mark.parametrize("data", [b"", b"\0", b"\x08", b"\x3a\xff\xff\xff\xff\x0f", b"\x0b\x0c", b"\xff" * 12, b"no"])
def test_bytes_that_are_no_onnx(packaged: Callable[..., edgeml.Package], data: bytes) -> None:
    refused(packaged("onnx-fp32", data), "onnx-fp32", "is not a valid onnx model")


# --- TFLite --------------------------------------------------------------------------------------------------------


def changed_tflite(change: Change) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        for operator in model.subgraphs[0].operators:  # read-only views of the file
            operator.inputs, operator.outputs = list(operator.inputs), list(operator.outputs)
        change(model)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return changed


def _signature_of_no_subgraph(model: Any) -> None:
    model.signatureDefs[0].subgraphIndex = 2


def _signature_of_no_tensor(model: Any) -> None:
    model.signatureDefs[0].inputs[0].tensorIndex = 2**31


def _input_of_no_tensor(model: Any) -> None:
    model.subgraphs[0].inputs = [-1]


def _output_of_no_tensor(model: Any) -> None:
    model.subgraphs[0].outputs = [10**6]


def _data_of_no_buffer(model: Any) -> None:
    model.subgraphs[0].tensors[0].buffer = len(model.buffers)


def _metadata_of_no_buffer(model: Any) -> None:
    model.metadata[0].buffer = 10**6


def _operator_of_no_kind(model: Any) -> None:
    model.subgraphs[0].operators[0].opcodeIndex = len(model.operatorCodes)


def _operator_on_no_tensor(model: Any) -> None:
    model.subgraphs[0].operators[0].inputs[1] = 10**6


def _operator_without_first_input(model: Any) -> None:
    model.subgraphs[0].operators[0].inputs[0] = -1


def _operator_that_reads_before_it_writes(model: Any) -> None:
    operator = model.subgraphs[0].operators[0]
    operator.inputs[0] = operator.outputs[0]


def _operator_that_writes_weights(model: Any) -> None:
    operator = model.subgraphs[0].operators[0]
    operator.outputs[0] = operator.inputs[1]


def _kind_of_no_operator(model: Any) -> None:
    model.operatorCodes[0].builtinCode = 100_000


def _tensor_of_no_type(model: Any) -> None:
    model.subgraphs[0].tensors[0].type = 100


def _tensor_of_negative_size(model: Any) -> None:
    model.subgraphs[0].tensors[0].shape = [1, -4]


def _tensor_of_huge_size(model: Any) -> None:
    model.subgraphs[0].tensors[-1].shape = [2**30, 2**30]


def _scales_of_no_axis(model: Any) -> None:
    tensor = model.subgraphs[0].tensors[1]
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [0.1] * 999, [0] * 999


def _sparse_indices_out_of_range(model: Any) -> None:
    tensor, sparsity = model.subgraphs[0].tensors[1], schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap = [0, 1], []
    dense, compressed = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    dense.denseSize = int(tensor.shape[0])
    compressed.format, compressed.arraySegmentsType, compressed.arrayIndicesType = 1, 1, 1
    compressed.arraySegments, compressed.arrayIndices = schema.Int32VectorT(), schema.Int32VectorT()
    compressed.arraySegments.values, compressed.arrayIndices.values = [0, 1], [10**6]
    sparsity.dimMetadata, tensor.sparsity = [dense, compressed], sparsity


def _subgraph_that_runs_itself(model: Any) -> None:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.WHILE
    model.operatorCodes.append(code)
    operator = model.subgraphs[0].operators[0]
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.WhileOptions, schema.WhileOptionsT()


def _subgraph_that_is_not_there(model: Any) -> None:
    _subgraph_that_runs_itself(model)
    model.subgraphs[0].operators[0].builtinOptions.bodySubgraphIndex = 7


def _scale_of_zero(model: Any) -> None:
    tensor = model.subgraphs[0].tensors[0]
    tensor.type, tensor.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [0.0], [0]


def _zero_point_out_of_range(model: Any) -> None:
    _scale_of_zero(model)
    model.subgraphs[0].tensors[0].quantization.scale, model.subgraphs[0].tensors[0].quantization.zeroPoint = (
        [1.0],
        [300],
    )


def _reshape_to_another_dtype(model: Any) -> None:
    """LiteRT copies eight bytes for every four."""
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    operator, tensors = model.subgraphs[0].operators[0], model.subgraphs[0].tensors
    operator.builtinOptionsType, operator.builtinOptions = 0, None
    tensors[operator.inputs[0]].type = schema.TensorType.INT64


def _data_behind_the_flatbuffer(model: Any) -> None:
    model.buffers[1].offset, model.buffers[1].size = 16, 16


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_signature_of_no_subgraph, "subgraph 2 does not exist"),
        (_signature_of_no_tensor, "tensor 2147483648 does not exist"),
        (_input_of_no_tensor, "tensor -1 does not exist"),
        (_output_of_no_tensor, "tensor 1000000 does not exist"),
        (_data_of_no_buffer, "buffer .* does not exist"),
        (_metadata_of_no_buffer, "buffer 1000000 does not exist"),
        (_operator_of_no_kind, "operator code .* does not exist"),
        (_operator_on_no_tensor, "tensor 1000000 does not exist"),
        (_operator_without_first_input, "tensor -1 does not exist"),
        (_operator_that_reads_before_it_writes, "before it is written"),
        (_operator_that_writes_weights, "writes to the constant"),
        (_kind_of_no_operator, "the operator 100000, which is not known"),
        (_tensor_of_no_type, "type 100"),
        (_tensor_of_negative_size, "of the shape"),
        (_tensor_of_huge_size, "elements"),
        (_scales_of_no_axis, "999 scales"),
        (_sparse_indices_out_of_range, "sparse index 1000000"),
        (_subgraph_that_runs_itself, "runs itself"),
        (_subgraph_that_is_not_there, "subgraph 7 does not exist"),
        (_data_behind_the_flatbuffer, "outside of its FlatBuffer"),
        (_scale_of_zero, "a scale of 0"),
        (_zero_point_out_of_range, "a zero point of 300 for int8"),
        (_reshape_to_another_dtype, "copies int64 to float32"),
    ],
)
def test_tflite_models_that_are_not_as_they_should_be(
    packaged: Callable[..., edgeml.Package], change: Change, reason: str
) -> None:
    refused(packaged("tflite-fp32", changed_tflite(change)), "tflite-fp32", reason)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x10\0\0\0TFL3", b"\xff\xff\xff\xffTFL3" + bytes(64), bytes(64)])
def test_bytes_that_are_no_tflite(packaged: Callable[..., edgeml.Package], data: bytes) -> None:
    refused(packaged("tflite-fp32", data), "tflite-fp32", "is not a valid tflite model")


def test_every_cut_of_a_file_is_refused(small_package: edgeml.Package, packaged: Callable[..., edgeml.Package]) -> None:
    whole = small_package.read(small_package.artifact("tflite-fp32").file)
    for length in range(8, len(whole), 97):
        refused(packaged("tflite-fp32", whole[:length]), "tflite-fp32", "is not a valid tflite model")


def _archive(method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("labels.txt", "cat\ndog\n" * 100)
    return file.getvalue()


def test_labels_that_follow_the_model_are_accepted(packaged: Callable[..., edgeml.Package]) -> None:
    """TFLite's metadata writer appends files so."""
    with packaged("tflite-fp32", lambda data: data + _archive(zipfile.ZIP_STORED)).session("tflite-fp32") as session:
        assert session.engine == "ai-edge-litert"


@pytest.mark.parametrize(
    "rest", [b"x" * 100, bytes(100), _archive(zipfile.ZIP_DEFLATED), _archive(zipfile.ZIP_STORED)[:-1]]
)
def test_other_bytes_that_follow_the_model(packaged: Callable[..., edgeml.Package], rest: bytes) -> None:
    refused(packaged("tflite-fp32", lambda data: data + rest), "tflite-fp32", "follow")


def custom(name: str, options: bytes) -> Change:
    def change(model: Any) -> None:
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = (
            schema.BuiltinOperator.CUSTOM
        )
        model.operatorCodes[0].customCode = name
        operator = model.subgraphs[0].operators[0]
        operator.builtinOptionsType, operator.builtinOptions = 0, None
        operator.customOptions = list(options)

    return change


@pytest.mark.parametrize("options", [b"", b"\0", b"\xff" * 20, b"\x01\x24\x08", bytes(200)])
def test_options_of_an_operator_of_litert_itself(packaged: Callable[..., edgeml.Package], options: bytes) -> None:
    """LiteRT reads them without a check, and dies."""
    change = changed_tflite(custom("TFLite_Detection_PostProcess", options))
    refused(packaged("tflite-fp32", change), "tflite-fp32", "options of TFLite_Detection_PostProcess are not valid")


def test_valid_options_of_an_operator_of_litert_itself_reach_the_engine(
    packaged: Callable[..., edgeml.Package],
) -> None:
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in {"max_detections": 5, "num_classes": 3, "x_scale": 10.0, "use_regular_nms": False}.items():
            builder.Add(key, value)
    change = changed_tflite(custom("TFLite_Detection_PostProcess", builder.Finish()))
    with pytest.raises(TargetError, match="ai-edge-litert"):  # it has other inputs than that operator
        packaged("tflite-fp32", change).session("tflite-fp32")


def test_custom_operators_of_others(packaged: Callable[..., edgeml.Package]) -> None:
    with pytest.raises(UnsupportedModelError, match="Mine is a custom operator"):
        packaged("tflite-fp32", changed_tflite(custom("Mine", b""))).session("tflite-fp32")


# --- trust ---------------------------------------------------------------------------------------------------------


def test_a_package_of_a_trusted_source_takes_the_same_trust(small_package_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "trusted.edgeml"
    path.write_bytes(
        forged(small_package_file.read_bytes(), lambda manifest, contents: manifest.update(trust_source=True))
    )
    package = edgeml.open_package(path)
    assert package.manifest.trust_source and not package.trust_source
    for attempt in (package.session, package.verify, lambda: edgeml.load(path), lambda: package.session("onnx-fp32")):
        with pytest.raises(UnsupportedModelError, match="built with trust_source=True"):
            attempt()
    with edgeml.load(path, trust_source=True) as session:
        assert np.asarray(session.predict(np.zeros((2, 4), np.float32))).shape == (2, 3)
    assert edgeml.open_package(path, trust_source=True).verify().digest == package.digest()
