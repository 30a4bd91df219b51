"""Existing TFLite files as sources, against the bare interpreter."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import edgeml
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.demo.digits import Digits
from edgeml.sources.tflite_file import open_source
from tests.support.mlperf import mlperf_model, mlperf_samples
from tests.support.packing import artifact_bytes, packed

RECIPES = ["tflite-fp32", "tflite-fp16", "tflite-dynamic", "tflite-int8", "tflite-int16x8"]


@pytest.fixture(scope="module")
def files(net_package: edgeml.Package, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What a converter made of the digits net, by recipe."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for record in net_package.manifest.artifacts:
        if record.recipe in RECIPES:
            found[record.recipe] = folder / f"{record.recipe}.tflite"
            found[record.recipe].write_bytes(artifact_bytes(net_package, record.recipe))
    return found


def changed(path: Path, change: object, folder: Path) -> Path:
    """The file with a change to its parsed model."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    change(model)  # type: ignore[operator]
    made = folder / "changed.tflite"
    made.write_bytes(packed(model))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_file_is_packaged_as_the_recipe_that_it_is(files: dict[str, Path], recipe: str) -> None:
    quantized = {"tflite-dynamic"} if recipe == "tflite-fp32" else set()
    package = edgeml.build(files[recipe])
    assert set(package.released) - quantized == {recipe}
    assert artifact_bytes(package, recipe) == files[recipe].read_bytes()
    record = package.manifest.artifacts[0]
    assert record.evaluation.fidelity.max_error == 0
    assert any("the given file itself" in remark for remark in record.verdict.remarks)
    refused = {item.recipe: item.fix for item in package.manifest.refused}
    assert set(refused) == {found.id for found in edgeml.RECIPES} - set(package.released)
    assert all("build from the model" in fix or "pass calibration" in fix for fix in refused.values())


def test_a_float_file_is_quantized_without_tensorflow(files: dict[str, Path], digits: Digits, tmp_path: Path) -> None:
    pytest.importorskip("litert_quantizer", reason="the extra quantizer is not installed")
    x, y, calibration = digits.evaluation, digits.evaluation_labels, digits.calibration
    recipes = ["tflite-fp32", "tflite-dynamic", "tflite-int8", "tflite-int16x8"]
    package = edgeml.build(files["tflite-fp32"], calibration=calibration, evaluation=(x, y), recipes=recipes)
    assert package.released == tuple(recipes)
    (reference,) = run_bare(files["tflite-fp32"].read_bytes(), x)
    for recipe in recipes[1:]:
        record = package.artifact(recipe)
        assert record.lineage[-1].startswith("litert-quantizer ")
        output = np.asarray(package.session(recipe).predict(x))
        sqnr_db = 10 * np.log10((reference**2).sum() / ((output - reference) ** 2).sum())
        assert record.evaluation.fidelity.sqnr_db == pytest.approx(sqnr_db, abs=0.01)
        assert sqnr_db > 35
    int8 = package.artifact("tflite-int8")
    assert [spec.dtype for spec in (*int8.signature.inputs, *int8.signature.outputs)] == ["int8", "int8"]
    again = edgeml.build(files["tflite-fp32"], calibration=calibration, evaluation=(x, y), recipes="tflite-int8")
    assert artifact_bytes(again, "tflite-int8") == artifact_bytes(package, "tflite-int8")
    with pytest.raises(InputError):
        edgeml.build(files["tflite-fp32"], calibration=np.zeros((0, 8, 8, 1)), recipes="tflite-int8")


def test_an_input_without_a_batch(tmp_path: Path) -> None:
    """A row times a number, as a graph of one operator."""
    model, graph, operator, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MUL
    code.version = 1
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    operator.builtinOptions, operator.builtinOptionsType = schema.MulOptionsT(), schema.BuiltinOptions.MulOptions
    graph.tensors = []
    for name, shape in ((b"x", [1, 4]), (b"gain", []), (b"y", [1, 4])):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, schema.TensorType.FLOAT32, 0
        graph.tensors.append(tensor)
    graph.operators, graph.inputs, graph.outputs = [operator], [0, 1], [2]
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [code], [graph]
    path = tmp_path / "gain.tflite"
    path.write_bytes(packed(model))
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(30, 4)).astype(np.float32), "gain": rng.normal(size=30).astype(np.float32)}
    package = edgeml.build(path, evaluation=data, recipes="tflite-fp32")
    assert package.released == ("tflite-fp32",)
    for isolated in (False, True):
        with package.session("tflite-fp32", isolated=isolated) as session:
            np.testing.assert_array_equal(session.predict(data), data["x"] * data["gain"][:, None])
    assert {check.status for check in package.verify().golden} == {"holds"}


def run_bare(data: bytes, x: np.ndarray) -> list[np.ndarray]:
    """Outputs of a float file in the bare interpreter, one sample at a time."""
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    outputs = []
    for sample in x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return [np.stack(outputs)]


def test_the_reference_is_what_the_bare_interpreter_gives() -> None:
    path = mlperf_model("kws_ref_model.tflite")
    x = mlperf_samples("kws/evaluation.npz")["x"][:50]
    source = open_source(path)
    (found,) = source.reference({"input_1": x}).outputs.values()
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (takes,), (gives,) = interpreter.get_input_details(), interpreter.get_output_details()
    (scale, zero), (out_scale, out_zero) = takes["quantization"], gives["quantization"]
    for row, scores in zip(x, found, strict=True):
        interpreter.set_tensor(takes["index"], np.clip(np.rint(row / scale) + zero, -128, 127).astype(np.int8)[None])
        interpreter.invoke()
        wanted = (interpreter.get_tensor(gives["index"])[0].astype(np.float32) - out_zero) * out_scale
        np.testing.assert_allclose(scores, wanted, atol=1e-6)


def test_names_of_tensors_serve_where_there_is_no_signature(files: dict[str, Path], tmp_path: Path) -> None:
    def strip(model: schema.ModelT) -> None:
        model.signatureDefs = []
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[0]].name = b"serving/x:0"
        graph.tensors[graph.outputs[0]].name = b"serving_x_0"

    path = changed(files["tflite-int8"], strip, tmp_path)
    package = edgeml.build(path)
    assert package.released == ("tflite-int8",)
    assert artifact_bytes(package, "tflite-int8") == path.read_bytes()
    signature = package.manifest.source.signature
    assert [spec.name for spec in (*signature.inputs, *signature.outputs)] == ["serving_x_0", "serving_x_0_2"]


def test_a_classifier_is_known_by_its_end(files: dict[str, Path], digits: object) -> None:
    for path in files.values():
        info = open_source(path).info
        assert info.task == "classification"
        assert info.decision is not None
        assert info.decision.labels == tuple(range(10))


def test_given_outputs_are_the_reference(files: dict[str, Path], net_package: edgeml.Package, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((64, 8, 8, 1), dtype=np.float32)
    wanted = net_package.session("tflite-fp32").predict(x)
    package = edgeml.build(files["tflite-int8"], evaluation=x, reference=wanted)
    record = package.manifest.artifacts[0]
    assert 20 < record.evaluation.fidelity.sqnr_db < 90
    assert not any("the given file itself" in remark for remark in record.verdict.remarks)
    assert package.manifest.data.reference is not None
    package.save(tmp_path / "x.edgeml")
    edgeml.open_package(tmp_path / "x.edgeml").verify()


@pytest.mark.slow
def test_a_reference_that_does_not_fit(files: dict[str, Path], net_file: Path) -> None:
    x, scores = np.zeros((4, 8, 8, 1)), np.zeros((4, 10))
    x[1] = 1
    with pytest.raises(InputError, match="got outputs without the inputs"):
        edgeml.build(files["tflite-int8"], reference=scores)
    with pytest.raises(InputError, match="has 3 samples"):
        edgeml.build(files["tflite-int8"], evaluation=x, reference=scores[:3])
    with pytest.raises(InputError, match="computes its own reference"):
        edgeml.build(net_file, evaluation=x, reference=scores, recipes=["onnx-fp32"])


@pytest.mark.slow
def test_uint8_in_and_out(files: dict[str, Path], tmp_path: Path) -> None:
    """The int8 file with its ends as unsigned integers, as older tools made them."""

    def shift(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        quantize = schema.OperatorCodeT()
        quantize.builtinCode = quantize.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
        quantize.version = 1
        model.operatorCodes.append(quantize)
        for ends, front in ((graph.inputs, True), (graph.outputs, False)):
            inner = graph.tensors[ends[0]]
            tensor = schema.TensorT()
            tensor.shape, tensor.type, tensor.buffer = inner.shape, schema.TensorType.UINT8, 0
            tensor.name = b"outer_in" if front else b"outer_out"
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = inner.quantization.scale
            tensor.quantization.zeroPoint = [inner.quantization.zeroPoint[0] + 128]
            graph.tensors.append(tensor)
            operator = schema.OperatorT()
            operator.opcodeIndex = len(model.operatorCodes) - 1
            pair = [len(graph.tensors) - 1, int(ends[0])]
            operator.inputs, operator.outputs = ([pair[0]], [pair[1]]) if front else ([pair[1]], [pair[0]])
            graph.operators.insert(0 if front else len(graph.operators), operator)
            if front:
                graph.inputs = [pair[0]]
            else:
                graph.outputs = [pair[0]]
        model.signatureDefs = []

    path = changed(files["tflite-int8"], shift, tmp_path)
    package = edgeml.build(path)
    assert package.released == ("tflite-int8",)
    signature = package.manifest.artifacts[0].signature
    assert {spec.dtype for spec in (*signature.inputs, *signature.outputs)} == {"uint8"}
    x = np.random.default_rng(0).random((32, 8, 8, 1), dtype=np.float32)
    wanted = edgeml.build(files["tflite-int8"]).session("tflite-int8").predict(x)
    found = package.session("tflite-int8").predict(x)
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), atol=1e-6)


def test_several_signatures_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    def double(model: schema.ModelT) -> None:
        model.signatureDefs = [*model.signatureDefs, *model.signatureDefs]

    with pytest.raises(UnsupportedModelError, match="has 2 signatures"):
        open_source(changed(files["tflite-fp32"], double, tmp_path))


def test_free_sizes_are_refused_or_fixed(files: dict[str, Path], tmp_path: Path) -> None:
    def free(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[0]].shapeSignature = np.array([-1, -1, 8, 1], np.int32)

    path = changed(files["tflite-fp32"], free, tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"has free sizes: \w+\.1; only the batch may be free") as caught:
        open_source(path)
    size, _ = re.findall(r"--size (\w+\.1)=N", caught.value.fix)
    with pytest.raises(InputError, match=f"does not have a free size 'length'; its free sizes are {size}"):
        open_source(path, sizes={"length": 8})
    with pytest.raises(UnsupportedModelError, match=f"does not run with the sizes {size}=3"):
        open_source(path, sizes={size: 3})
    package = edgeml.build(path, sizes={size: 8}, recipes="tflite-fp32")
    record = package.artifact("tflite-fp32")
    assert record.lineage == ("the given .tflite file", f"sizes fixed: {size}=8")
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype(np.float32)
    expected = edgeml.build(files["tflite-fp32"], recipes="tflite-fp32").session("tflite-fp32").predict(x)
    np.testing.assert_array_equal(package.session("tflite-fp32").predict(x), expected)


def test_operators_of_others_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    def custom(model: schema.ModelT) -> None:
        code = model.operatorCodes[0]
        code.builtinCode, code.deprecatedBuiltinCode, code.customCode = schema.BuiltinOperator.CUSTOM, 32, b"Mine"

    path = changed(files["tflite-fp32"], custom, tmp_path)
    with pytest.raises(UnsupportedModelError, match="the operator Mine is a custom operator") as caught:
        open_source(path)
    assert "--trust-source" in caught.value.fix
    with pytest.raises(UnsupportedModelError, match="does not run: ai-edge-litert"):
        edgeml.build(path, trust_source=True)


def test_another_batch_is_refused(files: dict[str, Path]) -> None:
    package = edgeml.build(files["tflite-fp32"], batch=4)
    assert not package.released
    (reason,) = [item.reason for item in package.manifest.refused if item.recipe == "tflite-fp32"]
    assert reason == "The file has a fixed batch size of 1; got batch=4."


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"no model at all")
    with pytest.raises(InputError, match="is not a TFLite file"):
        open_source(path)
