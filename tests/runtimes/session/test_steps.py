"""Models with a state, against loops of the bare engines."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import edgeml
from edgeml.core.errors import InputError, TargetError, UnsupportedModelError
from edgeml.core.system.worker import Worker
from tests.support.onnx_nets import Tensors, gated_unit, random_inputs, saved_net
from tests.support.packing import packed

STEPS = 1000
SIZES = {"length": 8}


def loop(path: Path, x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """The scores of all steps in onnxruntime alone."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    state, scores = np.zeros((2, 1, 6), np.float32), []
    for i in range(len(x)):
        feeds = {"input": x[i : i + 1], session.get_inputs()[1].name: state, "gain": np.asarray(gain[i])}
        score, state = session.run(None, feeds)
        scores.append(score)
    return np.concatenate(scores)


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    return {"input": random_inputs(STEPS, 8), "gain": random_inputs(STEPS, seed=2)}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gated_unit(tmp_path_factory.mktemp("steps") / "net.onnx")


@pytest.fixture(scope="module")
def package(net: Path, data: dict[str, np.ndarray]) -> edgeml.Package:
    some = {name: array[:300] for name, array in data.items()}
    return edgeml.build(
        net,
        sizes=SIZES,
        stateful=True,
        evaluation=some,
        calibration=some,
        recipes=["onnx-fp32", "onnx-fp16", "onnx-dynamic", "onnx-int8"],
    )


def step(data: dict[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    return {name: array[i : i + 1] for name, array in data.items()}


def test_a_state_must_be_declared(net: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="'state' with its next value 'stateN'") as caught:
        edgeml.build(net, sizes=SIZES)
    assert "--stateful" in caught.value.fix
    assert "--stateless" in caught.value.fix


def test_without_a_state_it_is_an_input(net: Path, data: dict[str, np.ndarray]) -> None:
    inputs = {**step(data, 0), "state": random_inputs(1, 2, 1, 6, seed=3)}
    package = edgeml.build(net, sizes=SIZES, stateful=False, evaluation=inputs, recipes="onnx-fp32")
    outputs = package.session("onnx-fp32").run(inputs)
    assert {name: values.shape for name, values in outputs.items()} == {"output": (1, 1), "stateN": (1, 2, 1, 6)}
    with pytest.raises(InputError, match="the model has none"):
        package.session("onnx-fp32").stateful()


def test_a_thousand_steps(package: edgeml.Package, net: Path, data: dict[str, np.ndarray]) -> None:
    expected = loop(net, data["input"], data["gain"])
    assert np.ptp(expected) > 0.5
    with package.session("onnx-fp32") as session:
        assert [spec.name for spec in session.signature.inputs] == ["input", "gain"]
        np.testing.assert_array_equal(session.predict(data), expected)
        np.testing.assert_array_equal(session.predict(step(data, 0)), expected[:1])  # a sequence of its own
        with session.stateful() as stream:
            steps = [np.asarray(stream.predict(step(data, i))) for i in range(500)]
            steps.append(np.asarray(stream.predict({name: array[500:] for name, array in data.items()})))
            np.testing.assert_array_equal(np.concatenate(steps), expected)
            stream.reset()
            np.testing.assert_array_equal(stream.run(step(data, 0))["output"], expected[:1])
    with pytest.raises(TargetError, match="closed"):
        stream.predict(step(data, 0))


def test_sequences_side_by_side_in_threads(package: edgeml.Package, net: Path, data: dict[str, np.ndarray]) -> None:
    backwards = {name: array[::-1].copy() for name, array in data.items()}
    expected = [loop(net, each["input"], each["gain"]) for each in (data, backwards)]
    with package.session("onnx-fp32") as session:
        results: dict[int, np.ndarray] = {}

        def run(place: int, samples: dict[str, np.ndarray]) -> None:
            with session.stateful() as stream:
                results[place] = np.concatenate([np.asarray(stream.predict(step(samples, i))) for i in range(STEPS)])

        threads = [threading.Thread(target=run, args=(i, each)) for i, each in enumerate((data, backwards, data))]
        for thread in threads:
            thread.start()
        np.testing.assert_array_equal(session.predict(data), expected[0])
        for thread in threads:
            thread.join()
    np.testing.assert_array_equal(results[0], expected[0])
    np.testing.assert_array_equal(results[1], expected[1])
    np.testing.assert_array_equal(results[2], expected[0])


def test_the_package_keeps_and_verifies_the_state(
    package: edgeml.Package, net: Path, data: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "net.edgeml"
    package.save(path)
    opened = edgeml.open_package(path)
    assert opened.manifest.source.stateful
    checks = opened.verify().golden
    assert {check.recipe for check in checks} == {record.recipe for record in opened.manifest.artifacts}
    assert {check.status for check in checks} == {"holds"}
    for recipe in opened.released:
        with opened.session(recipe, isolated=True) as session:
            outputs = np.asarray(session.predict(data))
            with pytest.raises(InputError, match="isolated"):
                session.stateful()
        np.testing.assert_allclose(outputs, loop(net, data["input"], data["gain"]), atol=0.1)
    with opened.session("onnx-fp32") as session, pytest.raises(TargetError, match="has a state"):
        session.bind()


def test_quantized_steps_are_judged_along_the_sequence(
    package: edgeml.Package, net: Path, data: dict[str, np.ndarray]
) -> None:
    """The figure of the verdict is that of the whole sequence, with the artifact's own states."""
    expected = loop(net, data["input"][:300], data["gain"][:300])
    record = package.artifact("onnx-int8")
    outputs = np.asarray(package.session("onnx-int8").predict({name: array[:300] for name, array in data.items()}))
    error = ((outputs - expected) ** 2).sum()
    sqnr_db = 10 * np.log10((expected**2).sum() / error)
    assert record.evaluation.fidelity.sqnr_db == pytest.approx(sqnr_db, abs=0.01)


def test_states_of_other_names(tmp_path: Path, data: dict[str, np.ndarray]) -> None:
    for state, following in (("h", "hn"), ("h0", "hn"), ("cache_in", "cache_out"), ("past_kv", "present_kv")):
        path = gated_unit(tmp_path / "net.onnx", state=state, next_state=following)
        with pytest.raises(UnsupportedModelError, match=f"'{state}' with its next value '{following}'"):
            edgeml.build(path, sizes=SIZES)
    path = gated_unit(tmp_path / "net.onnx", state="a", next_state="b")
    with pytest.raises(InputError, match="a state was not found"):
        edgeml.build(path, sizes=SIZES, stateful=True)
    some = {name: array[:20] for name, array in data.items()}
    package = edgeml.build(path, sizes=SIZES, stateful={"a": "b"}, evaluation=some, recipes="onnx-fp32")
    expected = loop(path, some["input"], some["gain"])
    np.testing.assert_array_equal(package.session("onnx-fp32").predict(some), expected)
    wrong: list[tuple[Any, str]] = [
        ({"a": "c"}, "does not have the output 'c'"),
        ({"z": "b"}, "does not have the input 'z'"),
        ({"gain": "b"}, "are of one shape"),
        (3, "expected True, False, or a dict"),
    ]
    for stateful, reason in wrong:
        with pytest.raises(InputError, match=reason):
            edgeml.build(path, sizes=SIZES, stateful=stateful)


def test_an_image_that_becomes_an_image_is_no_state(tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node("Relu", ["image_in"], ["image_out"])]
    number = onnx.TensorProto.FLOAT
    path = saved_net(tmp_path / "net.onnx", nodes, {"image_in": (number, ["n", 4])}, {"image_out": (number, ["n", 4])})
    assert edgeml.build(path, recipes="onnx-fp32").released == ("onnx-fp32",)


def test_variables_of_tflite(keras_models: Worker) -> None:
    path: Path = keras_models.call("streaming_file", returns=Path)
    with pytest.raises(UnsupportedModelError, match="keeps a state between calls: the variable"):
        edgeml.build(path)
    x = random_inputs(STEPS, 1, 4)
    package = edgeml.build(path, stateful=True, evaluation=x[:64], recipes="tflite-fp32")
    assert package.released == ("tflite-fp32",)
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    expected = np.concatenate([runner(x=x[i : i + 1])["y"] for i in range(STEPS)])
    with package.session("tflite-fp32") as session:
        np.testing.assert_array_equal(session.predict(x), expected)
        np.testing.assert_array_equal(session.predict(x), expected)  # from the initial state again
        first, second = session.stateful(), session.stateful()
        for i in range(20):
            np.testing.assert_array_equal(first.predict(x[i : i + 1]), expected[i : i + 1])
        np.testing.assert_array_equal(second.predict(x[:3]), expected[:3])
        first.reset()
        np.testing.assert_array_equal(first.predict(x[:3]), expected[:3])


def carrier(path: Path, states: dict[str, str], passed: dict[str, str], rows: int = 1) -> Path:
    """A net of decaying sums: each state becomes 0.9 of itself plus the input; others are passed through."""
    number, shape = onnx.TensorProto.FLOAT, [rows, 4]
    nodes = []
    for i, (before, after) in enumerate(states.items()):
        nodes.append(onnx.helper.make_node("Mul", [before, f"decay{i}"], [f"decayed{i}"]))
        nodes.append(onnx.helper.make_node("Add", [f"decayed{i}", "x"], [after]))
    nodes += [onnx.helper.make_node("Identity", [before], [after]) for before, after in passed.items()]
    nodes.append(onnx.helper.make_node("Sum", ["x", *states, *passed], ["y"]))
    both = {**states, **passed}
    inputs: Tensors = {"x": (number, shape), **dict.fromkeys(both, (number, shape))}
    outputs: Tensors = {"y": (number, shape), **dict.fromkeys(both.values(), (number, shape))}
    weights = {f"decay{i}": np.full(1, 0.9 - 0.1 * i, np.float32) for i in range(len(states))}
    return saved_net(path, nodes, inputs, outputs, weights)


@pytest.mark.parametrize(
    ("states", "passed"),
    [
        ({"cache_0": "new_cache_0", "cache_1": "new_cache_1"}, {"length": "length_out"}),
        ({"h0": "h0_out", "h1": "h1_out", "c": "c_out"}, {}),
        ({"past_key_values.0.key": "present.0.key", "past_key_values.0.value": "present.0.value"}, {}),
        ({"att_cache": "r_att_cache", "cnn_cache": "r_cnn_cache"}, {}),
        ({"r1i": "r1o", "r2i": "r2o"}, {}),
        ({"hx": "hy", "cx": "cy"}, {}),
        ({"LSTMStateIn": "LSTMStateOut"}, {"mask": "mask_2"}),
        ({"h_0": "h_n", "c_0": "c_n"}, {}),
    ],
)
def test_all_states_are_carried_and_nothing_else(
    tmp_path: Path, states: dict[str, str], passed: dict[str, str]
) -> None:
    path = carrier(tmp_path / "net.onnx", states, passed)
    data = {"x": random_inputs(30, 4), **{name: random_inputs(30, 4, seed=5) for name in passed}}
    with pytest.raises(UnsupportedModelError, match="keeps a state between calls"):
        edgeml.build(path, evaluation=data, recipes="onnx-fp32")
    package = edgeml.build(path, evaluation=data, stateful=True, recipes="onnx-fp32")
    session = onnxruntime.InferenceSession(path)
    carried = {name: np.zeros((1, 4), np.float32) for name in states}
    expected = []
    for i in range(30):
        outputs = session.run(["y", *states.values()], {**step(data, i), **carried})
        expected.append(outputs[0])
        carried = dict(zip(states, outputs[1:], strict=True))
    np.testing.assert_array_equal(package.session("onnx-fp32").run(data)["y"], np.concatenate(expected))
    (remark,) = (text for text in package.artifact("onnx-fp32").verdict.remarks if "keeps a state" in text)
    assert remark.count("becomes") == len(states)


@pytest.mark.parametrize(
    "passed", [{"input_1": "output_1"}, {"left": "left_out"}, {"image": "image_2"}, {"mask": "mask_out"}]
)
def test_values_that_a_model_passes_through_are_no_state(tmp_path: Path, passed: dict[str, str]) -> None:
    path = carrier(tmp_path / "net.onnx", {}, passed)
    assert edgeml.build(path, recipes="onnx-fp32").released == ("onnx-fp32",)


def test_a_stream_is_one_sequence(package: edgeml.Package, net: Path, data: dict[str, np.ndarray]) -> None:
    expected = loop(net, data["input"], data["gain"])
    samples = [{name: array[i] for name, array in data.items()} for i in range(STEPS)]
    with package.session("onnx-fp32") as session:
        np.testing.assert_array_equal(session.run(iter(samples))["output"], expected)
        for delay in (None, 0.0, 20.0):
            outputs = np.stack([np.asarray(output) for output in session.stream(samples, max_delay_ms=delay)])
            np.testing.assert_array_equal(outputs, expected)
    with package.session("onnx-fp32", isolated=True) as session, pytest.raises(InputError, match="isolated"):
        session.run(iter(samples))


def test_a_batch_of_sequences_is_refused(tmp_path: Path) -> None:
    path = carrier(tmp_path / "net.onnx", {"h": "hn"}, {}, rows=3)
    with pytest.raises(InputError, match="expected a batch of 1, got 3"):
        edgeml.build(path, stateful=True)


def test_a_quantized_state_begins_at_zero_and_is_quantized_again(tmp_path: Path) -> None:
    """State and next state of a file may have different grids, and 0 is the zero point, not the integer 0."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 2
    grids = {"x": (0.02, 0), "state": (0.05, -40), "state_out": (0.1, 20), "y": (0.1, 5)}
    graph.tensors, graph.operators = [], []
    for name, (scale, zero_point) in grids.items():
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), [1, 4], schema.TensorType.INT8, 0
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
        graph.tensors.append(tensor)
    for output in (2, 3):
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [output]
        operator.builtinOptions, operator.builtinOptionsType = schema.AddOptionsT(), schema.BuiltinOptions.AddOptions
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [0, 1], [2, 3]
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [code], [graph]
    path = tmp_path / "sum.tflite"
    path.write_bytes(packed(model))
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32) / 4
    package = edgeml.build(path, stateful=True, evaluation=x, recipes="tflite-int8")
    assert package.released == ("tflite-int8",)
    exact = np.cumsum(x, axis=0)  # in real numbers each step adds its input
    outputs = np.asarray(package.session("tflite-int8").predict(x))
    np.testing.assert_allclose(outputs, exact, atol=0.7)  # rounding adds up
    np.testing.assert_allclose(outputs[0], exact[0], atol=0.08)


def test_the_command(run: Callable[..., Any], net: Path, data: dict[str, np.ndarray], tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", input=data["input"][:40], gain=data["gain"][:40])
    arguments = ["build", net, "-o", tmp_path / "net.edgeml", "--evaluation", tmp_path / "data.npz"]
    arguments += ["--recipe", "onnx-fp32", "--size", "length=8"]
    refused = run(*arguments)
    assert refused.returncode != 0
    assert "--stateful" in refused.stderr
    assert run(*arguments, "--stateful").returncode == 0
    assert run("verify", tmp_path / "net.edgeml").returncode == 0
    assert run(*arguments, "--force", "--state", "state=stateN").returncode == 0
    for wrong in (["--state", "state"], ["--size", "length"], ["--stateless", "--state", "state=stateN"]):
        assert run(*arguments, "--force", *wrong).returncode == 2
