"""Model files beside packages, against bare engines."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper, numpy_helper

import edgeml
from edgeml.core.errors import EdgemlError, InputError, MissingDependencyError, TargetError, UnsupportedModelError
from edgeml.measurement import Case, Options, bench, compare_cases
from edgeml.measurement.model_file import open_model_file
from tests.package.test_package import hide
from tests.support.hints import install_hint
from tests.support.packing import artifact_bytes
from tests.support.processes import repository


@pytest.fixture(scope="module")
def package() -> edgeml.Package:
    """An artifact for each engine, of a small net on images of 8 by 8."""
    return edgeml.open_package(repository() / "tests" / "data" / "format1.edgeml")


@pytest.fixture(scope="module")
def tflite(package: edgeml.Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "net.tflite"
    path.write_bytes(artifact_bytes(package, "tflite-int8"))
    return path


def dense(
    path: Path, *, inputs: Sequence[str] = ("in/x:0",), sizes: Sequence[int | str] = (8, 8, 1), kind: str = "MatMul",
    dtype: int = TensorProto.FLOAT, width: int = 1024,
) -> Path:  # fmt: skip
    """The sum of its inputs through four square layers: some hundred times the work of the package's net."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", [name], [f"cast{i}"], to=TensorProto.FLOAT) if dtype != TensorProto.FLOAT
        else helper.make_node("Identity", [name], [f"cast{i}"])
        for i, name in enumerate(inputs)
    ]  # fmt: skip
    nodes.append(helper.make_node("Sum", [f"cast{i}" for i in range(len(inputs))], ["sum"]))
    nodes.append(helper.make_node("Flatten", ["sum"], ["h0"], axis=1))
    weights = []
    for layer, shape in enumerate([(64, width), (width, width), (width, width), (width, 10)]):
        weights.append(numpy_helper.from_array((rng.standard_normal(shape) / shape[0]).astype(np.float32), f"w{layer}"))
        domain = {"domain": "mine"} if kind != "MatMul" else {}
        nodes.append(helper.make_node(kind, [f"h{layer}", f"w{layer}"], [f"h{layer + 1}"], **domain))
    graph = helper.make_graph(
        nodes, "dense", [helper.make_tensor_value_info(name, dtype, ["n", *sizes]) for name in inputs],
        [helper.make_tensor_value_info("h4", TensorProto.FLOAT, ["n", 10])], weights,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid("mine", 1)] if kind != "MatMul" else [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_a_file_is_opened_as_it_is(package: edgeml.Package, tflite: Path) -> None:
    file = open_model_file(tflite, reference=package)
    data = tflite.read_bytes()
    assert (file.ref.name, file.ref.size_bytes) == ("net.tflite", len(data))
    assert file.ref.digest == file.digest() == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (file.ref.inputs, file.ref.outputs) == ("image int8 [1, 8, 8, 1]", "scores int8 [1, 10]")
    assert file.released == ("tflite-int8",)
    x = package.golden_inputs()["image"]
    np.testing.assert_array_equal(file.golden_inputs()["image"], x)
    interpreter = Interpreter(str(tflite))
    interpreter.allocate_tensors()
    (takes,), (gives,) = interpreter.get_input_details(), interpreter.get_output_details()
    (scale, zero), (out_scale, out_zero) = takes["quantization"], gives["quantization"]
    with file.session() as session:
        for row, found in zip(x, np.asarray(session.predict(x)), strict=True):
            steps = np.clip(np.rint(row / scale) + zero, -128, 127).astype(np.int8)
            interpreter.set_tensor(takes["index"], steps[None])
            interpreter.invoke()
            wanted = (interpreter.get_tensor(gives["index"])[0].astype(np.float32) - out_zero) * out_scale
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def median_ns(data: bytes | Path, x: np.ndarray) -> float:
    """Of bare onnxruntime, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    name, times = session.get_inputs()[0].name, []
    for _ in range(300):
        start = perf_counter_ns()
        session.run(None, {name: x})
        times.append(perf_counter_ns() - start)
    return float(np.median(times))


@pytest.mark.slow
def test_a_file_is_measured_in_turn_with_an_artifact(package: edgeml.Package, tmp_path: Path) -> None:
    path = dense(tmp_path / "dense.onnx")
    file = open_model_file(path, reference=package)
    case = Case("onnx-fp32", "cpu", "single-stream", None, 1)
    found = compare_cases(package, case, file, case, Options(seconds=0.5))
    x = package.golden_inputs()["image"][:1]
    bare = median_ns(artifact_bytes(package, "onnx-fp32"), x) / median_ns(path, x)
    assert bare < 0.5
    assert found.verdict == "faster"
    assert found.ratio.value == pytest.approx(bare, rel=0.6)  # a session costs less than `run`, and the machine is busy
    assert found.baseline == "dense.onnx: onnx-fp32 on cpu"


def test_a_file_is_measured_by_itself(tflite: Path) -> None:
    found = bench(open_model_file(tflite), scenarios=["single-stream"], options=Options(seconds=0.05, cold_starts=0))
    assert found.package.name == "net.tflite"
    assert found.package.digest == f"sha256:{hashlib.sha256(tflite.read_bytes()).hexdigest()}"
    assert found.measurements[0].artifact == "tflite-int8"
    assert found.measurements[0].size_bytes == tflite.stat().st_size


@pytest.mark.parametrize(
    ("sizes", "inputs", "told"),
    [
        ((8, 9, 1), ["x"], r"expects other inputs than .*: x \[any, 8, 9, 1\] instead of image \[any, 8, 8, 1\]"),
        ((8, 8, 1), ["image", "y"], r"image \[any, 8, 8, 1\], y \[any, 8, 8, 1\] instead of image"),
    ],
)
def test_other_inputs_are_refused(
    package: edgeml.Package, tmp_path: Path, sizes: tuple[int, ...], inputs: list[str], told: str
) -> None:
    path = dense(tmp_path / "other.onnx", inputs=inputs, sizes=sizes, width=8)
    with pytest.raises(InputError, match=told) as caught:
        open_model_file(path, reference=package)
    assert "compare models of the same task" in caught.value.fix


def test_what_is_no_model_that_can_be_measured(package: edgeml.Package, tmp_path: Path, tflite: Path) -> None:
    def refused(path: Path, error: type[EdgemlError], told: str) -> None:
        with pytest.raises(error, match=told):
            open_model_file(path, reference=package)

    refused(tmp_path / "none.tflite", InputError, "file not found")
    for name, told in {"text.tflite": "is not a TFLite file", "text.onnx": "is not an ONNX file"}.items():
        (tmp_path / name).write_text("no model at all")
        refused(tmp_path / name, InputError, told)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(tflite.read_bytes()[:400])
    refused(cut, InputError, "is corrupt")
    refused(dense(tmp_path / "free.onnx", sizes=("h", 8, 1), width=8), UnsupportedModelError, "only the batch may be")
    foreign = dense(tmp_path / "foreign.onnx", kind="Mine", width=8)
    refused(foreign, UnsupportedModelError, "domain")
    with pytest.raises(TargetError, match=r"foreign\.onnx: onnxruntime .* cannot load the artifact"):
        open_model_file(foreign, reference=package, trust=True).session()


def test_whole_numbers_come_from_a_package_alone(tmp_path: Path) -> None:
    tokens = dense(tmp_path / "tokens.onnx", sizes=(64,), dtype=TensorProto.INT32, width=8)
    with pytest.raises(UnsupportedModelError, match="are integers, and their valid values are unknown") as caught:
        open_model_file(tokens)
    assert "--compare tokens.onnx" in caught.value.fix


def test_another_artifact_of_a_file(tflite: Path) -> None:
    file = open_model_file(tflite)
    for ask in (file.session, file.size_bytes):
        with pytest.raises(InputError, match=r"net.tflite: expected the recipe tflite-int8, got 'onnx-fp32'"):
            ask("onnx-fp32")


def test_an_engine_that_is_not_there(package: edgeml.Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = open_model_file(dense(tmp_path / "dense.onnx", width=8), reference=package)
    hide(monkeypatch, "onnxruntime")
    with pytest.raises(MissingDependencyError, match="onnxruntime") as caught:
        file.session()
    assert caught.value.fix == install_hint("onnx")


def test_drawn_inputs_are_the_same_each_time(tflite: Path) -> None:
    first, second = (open_model_file(tflite).golden_inputs() for _ in range(2))
    assert first["image"].shape == (16, 8, 8, 1)
    assert first["image"].std() > 0.5
    np.testing.assert_array_equal(first["image"], second["image"])
