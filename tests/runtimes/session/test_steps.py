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
from ai_edge_litert.interpreter import Interpreter

import edgeml
from edgeml.core.errors import InputError, TargetError, UnsupportedModelError
from edgeml.core.system.worker import Worker
from tests.support.onnx_nets import gated_unit, random_inputs, saved_net

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
