"""Sessions of artifacts with free sizes, against bare engines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper

import edgeml
from edgeml.core.errors import InputError, IsolationError, TargetError, UnsupportedModelError
from tests.support.onnx_nets import Tensors, answers, random_inputs, saved_net
from tests.support.packing import packed

Engine = Callable[[np.ndarray], list[np.ndarray]]
NAME = "sound.1"
LITTLE_MB = 64.0  # for short samples alone


def tflite_net(path: Path) -> Path:
    """``[1, length, 3]`` to its sigmoids, and to their mean over the length ``[1, 3]``."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.frombuffer(np.array([1], np.int32).tobytes(), np.uint8)
    graph.tensors, graph.operators, model.operatorCodes = [], [], []
    for name, shape, free in (("sound", [1, 1, 3], True), ("each", [1, 1, 3], True), ("mean", [1, 3], False)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), shape, schema.TensorType.FLOAT32, 0
        tensor.shapeSignature = [1, -1, 3] if free else None
        graph.tensors.append(tensor)
    axis = schema.TensorT()
    axis.name, axis.shape, axis.type, axis.buffer = b"axis", [1], schema.TensorType.INT32, 1
    graph.tensors.append(axis)
    options = schema.ReducerOptionsT()
    for number, (kind, inputs, output) in enumerate((("LOGISTIC", [0], 1), ("MEAN", [1, 3], 2))):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        operator.opcodeIndex, operator.inputs, operator.outputs = number, inputs, [output]
        if kind == "MEAN":
            operator.builtinOptions, operator.builtinOptionsType = options, schema.BuiltinOptions.ReducerOptions
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [0], [1, 2]
    model.version, model.subgraphs = 3, [graph]
    path.write_bytes(packed(model))
    return path


def litert(path: Path) -> Engine:
    """LiteRT alone, one sample at a time."""

    def run(x: np.ndarray) -> list[np.ndarray]:
        interpreter = Interpreter(str(path), num_threads=1)
        (place,), results = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.resize_tensor_input(place["index"], (1, *x.shape[1:]))
        interpreter.allocate_tensors()
        outputs = []
        for sample in x:
            interpreter.set_tensor(place["index"], sample[None])
            interpreter.invoke()
            outputs.append([interpreter.get_tensor(each["index"])[0] for each in results])
        return [np.stack(column) for column in zip(*outputs, strict=True)]

    return run


@pytest.fixture(scope="module")
def tflite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tflite_net(tmp_path_factory.mktemp("sized") / "net.tflite")


@pytest.fixture(scope="module")
def tflite_package(tflite_file: Path) -> edgeml.Package:
    return edgeml.build(tflite_file, sizes={NAME: (20, 40, 61)}, calibration=random_inputs(40, 20, 3))


@pytest.fixture(scope="module")
def cases(
    sound_package: edgeml.Package, sound_package_file: Path, tflite_package: edgeml.Package, tflite_file: Path
) -> Mapping[str, tuple[edgeml.Package, Engine, tuple[int, ...]]]:
    """Package, bare engine and the sizes behind the length, by recipe."""
    net = sound_package_file.with_name("net.onnx")
    return {
        "onnx-fp32": (sound_package, lambda x: answers(net, {"sound": x}), ()),
        "tflite-fp32": (tflite_package, litert(tflite_file), (3,)),
    }


def check(session: Any, engine: Engine, x: np.ndarray) -> None:
    for output, expected in zip(session.run({"sound": x}).values(), engine(x), strict=True):
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("recipe", ["onnx-fp32", "tflite-fp32"])
@pytest.mark.parametrize("isolated", [False, True])
def test_any_sizes_in_turn(recipe: str, isolated: bool, cases: Any) -> None:
    package, engine, rest = cases[recipe]
    with package.session(recipe, isolated=isolated) as session:
        for length in (*range(10, 40, 3), 13, 5000, 10):  # more than are kept open
            check(session, engine, random_inputs(6, length, *rest))
        for run in (session.run, session.run_together) if recipe == "onnx-fp32" else (session.run,):
            assert [array.shape[0] for array in run({"sound": random_inputs(0, 50, *rest)}).values()] == [0, 0]


@pytest.mark.parametrize("recipe", ["onnx-fp32", "tflite-fp32"])
def test_threads_with_sizes_of_their_own(recipe: str, cases: Any) -> None:
    package, engine, rest = cases[recipe]
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for length in np.random.default_rng(number).integers(9, 60, 20).tolist():
                check(session, engine, random_inputs(2, length, *rest))
        except BaseException as error:  # noqa: BLE001  # raised in the test
            failures.append(error)

    with package.session(recipe) as session:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]


@pytest.mark.parametrize("recipe", ["onnx-fp32", "tflite-fp32"])
@pytest.mark.parametrize("isolated", [False, True])
def test_fixed_sizes(recipe: str, isolated: bool, cases: Any) -> None:
    package, engine, rest = cases[recipe]
    (name,) = package.sizes
    with package.session(recipe, sizes={name: 64}, isolated=isolated) as session:
        shapes = [spec.shape[1:] for spec in (*session.signature.inputs, *session.signature.outputs)]
        assert all(None not in shape for shape in shapes)
        check(session, engine, random_inputs(50, 64, *rest))
        check(session, engine, random_inputs(1, 64, *rest))
        with pytest.raises(InputError, match=r"got shape \[1, 65"):
            session.run({"sound": random_inputs(1, 65, *rest)})


@pytest.mark.parametrize("recipe", ["onnx-fp32", "tflite-fp32"])
def test_memory_is_bound_at_fixed_sizes(recipe: str, cases: Any) -> None:
    package, engine, rest = cases[recipe]
    (name,) = package.sizes
    with package.session(recipe) as session, pytest.raises(TargetError, match="has free sizes") as caught:
        session.bind()
    assert "sizes=" in caught.value.fix
    x = random_inputs(1, 64, *rest)
    with package.session(recipe, sizes={name: 64}) as session:
        loop = session.bind()
        loop.inputs["sound"][...] = x
        loop.run()
        for output, expected in zip(loop.outputs.values(), engine(x), strict=True):
            np.testing.assert_array_equal(output, expected)


def test_streams_of_changing_sizes(cases: Any) -> None:
    package, engine, _ = cases["onnx-fp32"]
    samples = [random_inputs(1, length, seed=length)[0] for length in (50, 50, 60, 50, 70, 70)]
    with package.session("onnx-fp32") as session:
        for delay in (None, 0.0):
            results = list(session.stream(samples, max_delay_ms=delay))
            for sample, outputs in zip(samples, results, strict=True):
                for output, expected in zip(outputs.values(), engine(sample[None]), strict=True):
                    np.testing.assert_allclose(output, expected[0], rtol=1e-6, atol=1e-6)
        with pytest.raises(TargetError, match="different shapes"):
            session.run(iter({"sound": sample} for sample in samples))


def test_quantized_files_keep_their_sizes(tflite_package: edgeml.Package) -> None:
    assert "tflite-fp32" in tflite_package.released
    for record in tflite_package.manifest.artifacts:
        assert record.signature.free_sizes == (NAME,)
        assert [each.sizes for each in record.evaluation.at_sizes] == [{NAME: 40}, {NAME: 61}]
    assert all(check.status == "holds" for check in tflite_package.verify().golden)


def test_fixed_sizes_of_a_model_that_divides_by_its_input(tmp_path: Path) -> None:
    integers: Tensors = {"ids": (TensorProto.INT64, ["n", "length"]), "by": (TensorProto.INT64, [1])}
    nodes = [helper.make_node("Div", ["ids", "by"], ["y"])]
    outputs: Tensors = {"y": (TensorProto.INT64, ["n", "length"])}
    path = saved_net(tmp_path / "net.onnx", nodes, integers, outputs)
    rng = np.random.default_rng(0)
    data = {"ids": rng.integers(0, 50, (30, 6)), "by": rng.integers(1, 9, (30, 1))}
    package = edgeml.build(path, sizes={"length": (6, 8)}, evaluation=data, recipes="onnx-fp32")
    assert len(package.verify().golden) == 2
    with package.session("onnx-fp32", sizes={"length": 6}) as session:
        np.testing.assert_array_equal(session.run(data)["y"], data["ids"] // data["by"])


def test_numbers_beyond_memory(cases: Any) -> None:
    package, _, _ = cases["onnx-fp32"]
    with package.session("onnx-fp32") as session, pytest.raises(TargetError, match="not enough memory"):
        session.run({"sound": np.broadcast_to(np.float32(1), (2, 2**40))})
    for wrong in (5, "length", [("length", 5)]):
        with pytest.raises(InputError, match="expected a number for each of length"):
            package.session("onnx-fp32", sizes=wrong)


def test_sizes_that_do_not_fit(cases: Any) -> None:
    package, _, _ = cases["onnx-fp32"]
    for sizes, reason in (
        ({}, "expected a number for each of length"),
        ({"width": 3}, "expected a number for each of length"),
        ({"length": 0}, "from 1 to"),
        ({"length": 2.5}, "a whole number"),
    ):
        for isolated in (False, True):
            with pytest.raises(InputError, match=reason):
                package.session("onnx-fp32", sizes=sizes, isolated=isolated)
        with pytest.raises(InputError, match=reason):
            package.golden_inputs(sizes)
    with pytest.raises(TargetError, match="Conv: Invalid input shape"):
        package.session("onnx-fp32", sizes={"length": 4})
    with package.session("onnx-fp32") as session:
        with pytest.raises(TargetError, match=r"At length=4: .*Conv: Invalid input shape"):
            session.run({"sound": random_inputs(2, 4)})
        with pytest.raises(InputError, match=r"got shape \[2, 4, 4\], expected \[samples, length\]"):
            session.run({"sound": random_inputs(2, 4, 4)})
        with pytest.raises(InputError, match="'length' is 0"):
            session.run({"sound": random_inputs(2, 0)})
        session.run({"sound": random_inputs(2, 40)})
    with pytest.raises(TargetError, match="closed"):
        session.run({"sound": random_inputs(2, 40)})


def test_sizes_of_artifacts_without_free_ones(net_package: edgeml.Package) -> None:
    assert net_package.sizes == {}
    with pytest.raises(InputError, match="all sizes of the artifact are fixed"):
        net_package.session("onnx-fp32", sizes={"length": 4})


def test_engines_of_fixed_sizes_refuse(tflite_package: edgeml.Package) -> None:
    with pytest.raises(TargetError, match=f"does not run artifacts with free sizes: {NAME}") as caught:
        tflite_package.session("tflite-fp32", target="micro")
    assert "--size NAME=N" in caught.value.fix


def test_a_long_sample_beyond_the_memory_of_an_isolated_artifact(cases: Any) -> None:
    package, _, _ = cases["onnx-fp32"]
    x = random_inputs(1, 6_000_000)
    with package.session("onnx-fp32", isolated=True, memory_mb=LITTLE_MB) as session:
        session.run({"sound": random_inputs(1, 50)})
        with pytest.raises((IsolationError, TargetError), match="memory"):
            session.run({"sound": x})
        session.run({"sound": random_inputs(1, 50)})  # the session lives on


def test_several_sizes_of_a_file_must_all_be_settled(tmp_path: Path) -> None:
    path = tflite_net(tmp_path / "net.tflite")
    with pytest.raises(UnsupportedModelError, match=f"has free sizes: {NAME}") as caught:
        edgeml.build(path)
    assert f"--size {NAME}=N,M" in caught.value.fix
    fixed = edgeml.build(path, sizes={NAME: 12}, recipes="tflite-fp32")
    assert fixed.artifact("tflite-fp32").signature.inputs[0].shape == (1, 12, 3)


def test_a_first_axis_that_is_no_batch(tmp_path: Path) -> None:
    """Sums over the first axis: twice as many rows are not two samples."""
    path = tflite_net(tmp_path / "net.tflite")
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    for tensor in model.subgraphs[0].tensors[:2]:
        tensor.shape, tensor.shapeSignature = [1, 3], [-1, 3]
    model.subgraphs[0].tensors[2].shape = [3]
    model.buffers[1].data = np.zeros(4, np.uint8)  # the axis of the mean
    path.write_bytes(packed(model))
    with pytest.raises(UnsupportedModelError, match=r"has free sizes: sound\.0"):
        edgeml.build(path)
    package = edgeml.build(path, sizes={"sound.0": (16, 32)}, recipes="tflite-fp32")
    assert len(package.verify().golden) == 2
    x = random_inputs(4, 21, 3)
    sigmoids = 1 / (1 + np.exp(-x.astype(np.float64)))
    outputs = package.session("tflite-fp32").run({"sound": x})
    np.testing.assert_allclose(outputs["each"], sigmoids, atol=1e-6)
    np.testing.assert_allclose(outputs["mean"], sigmoids.mean(axis=1), atol=1e-6)
    fixed = edgeml.build(path, sizes={"sound.0": 21}, recipes="tflite-fp32").session("tflite-fp32")
    np.testing.assert_array_equal(fixed.run({"sound": x})["mean"], outputs["mean"])
