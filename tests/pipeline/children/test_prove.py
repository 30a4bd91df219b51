"""Artifacts run in a child process as a device would run them, damaged ones among them: some crash the engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml.core.artifact import Artifact
from edgeml.core.errors import ConversionError, IsolationError, TargetError
from edgeml.core.system.worker import Worker
from edgeml.demo.digits import Digits
from edgeml.pipeline.children.prove import Proof, ProofSettings
from edgeml.pipeline.outcome import ProofRun
from edgeml.pipeline.saved_inputs import save_arrays
from edgeml.runtimes.engines import tflite_micro
from tests.support.failing_micro import FAILURE, MicroInterpreter


def zeroed(data: bytes, position: int) -> bytes:
    return data[:position] + b"\0" + data[position + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "text": lambda data: b"this is no model" * 20,
    "first half": lambda data: data[: len(data) // 2],
    "last half": lambda data: data[len(data) // 2 :],
    "noise": lambda data: np.random.default_rng(0).bytes(len(data)),
}


@pytest.fixture(scope="module")
def proving(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("proving")
    files = save_arrays({"image": digits.evaluation[:3]}, folder / "inputs")
    with Worker("edgeml.pipeline.children.prove:Proof", ProofSettings(files, measure=False), folder) as worker:
        yield worker


def artifact(package: edgeml.Package, recipe: str) -> Artifact:
    record = package.artifact(recipe)
    return Artifact(recipe, package.read(record.file), record.signature, record.needs, record.lineage)


@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_model_is_refused(net_package: edgeml.Package, proving: Worker, recipe: str, damage: str) -> None:
    whole = artifact(net_package, recipe)
    broken = msgspec.structs.replace(whole, data=DAMAGES[damage](whole.data))
    with pytest.raises(TargetError) as caught:
        proving.call("run", broken, returns=ProofRun)
    if not isinstance(caught.value, IsolationError):
        assert "cannot load the artifact" in caught.value.message


@pytest.mark.slow
def test_a_model_that_crashes_the_engine_takes_its_child_along_and_nothing_else(
    net_package: edgeml.Package, proving: Worker, digits: Digits
) -> None:
    whole = artifact(net_package, "tflite-fp32")
    crashes = []
    for position in range(64):  # the file's root: offsets into it that are not checked
        try:
            proving.call("run", msgspec.structs.replace(whole, data=zeroed(whole.data, position)), returns=ProofRun)
        except IsolationError as crash:
            crashes.append(crash.message)
        except TargetError:
            pass
    assert any("died of SIGSEGV" in message for message in crashes)
    run = proving.call("run", whole, returns=ProofRun)
    np.testing.assert_array_equal(
        run.outputs["scores"], net_package.session("tflite-fp32").predict(digits.evaluation[:3])
    )


def test_an_artifact_of_which_the_signature_lies_is_refused(net_package: edgeml.Package, proving: Worker) -> None:
    whole = artifact(net_package, "onnx-fp32")
    (image,) = whole.signature.inputs
    signature = msgspec.structs.replace(whole.signature, inputs=(msgspec.structs.replace(image, dtype="int8"),))
    with pytest.raises(TargetError, match=r"'image' is float32 .* in the artifact, but declared as int8"):
        proving.call("run", msgspec.structs.replace(whole, signature=signature), returns=ProofRun)


@pytest.mark.slow
def test_answers_that_are_no_numbers_are_refused(proving: Worker, keras_models: Worker, tmp_path: Path) -> None:
    """A float16 artifact that turns a small constant into zero, and takes its logarithm."""
    model = keras_models.call("make", "log", returns=Path)
    broken = keras_models.call("convert", model, "tflite-fp16", {}, 0, returns=Artifact)
    x = np.ones((5, 16), np.float32)
    x[2, 3] = 0
    files = save_arrays({"x": x}, tmp_path / "inputs")
    with (
        Worker("edgeml.pipeline.children.prove:Proof", ProofSettings(files, measure=False), tmp_path) as worker,
        pytest.raises(ConversionError, match="NaN or infinity in 'value' for 1 of 5 samples, first for sample 2"),
    ):
        worker.call("run", broken, returns=ProofRun)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["model", "invoke"])
@pytest.mark.parametrize(
    ("way", "words"),
    [("abort", "aborts on .* died of SIGABRT"), ("hang", "is stuck with .* no answer"), ("raise", "IndexError")],
)
def test_an_optional_engine_that_fails_refuses_nothing(
    net_package: edgeml.Package,
    digits: Digits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    way: str,
    words: str,
) -> None:
    pytest.importorskip("tflite_micro", reason="TFLite Micro is not installed")
    monkeypatch.setenv(FAILURE, f"{step} {way}")
    monkeypatch.setattr(tflite_micro, "MicroInterpreter", MicroInterpreter)
    monkeypatch.setattr(tflite_micro, "_CALL_TIMEOUT_S", 3.0)
    files = save_arrays({"image": digits.evaluation[:3]}, tmp_path / "inputs")
    run = Proof(ProofSettings(files, measure=False)).run(artifact(net_package, "tflite-int8"))
    assert [answers.family for answers in run.golden] == ["xnnpack"]
    np.testing.assert_array_equal(
        run.outputs["scores"], net_package.session("tflite-int8").predict(digits.evaluation[:3])
    )
    if step == "model":  # it does not take the artifact, as of many recipes
        assert run.remarks == ()
    else:
        (remark,) = run.remarks
        assert re.search(f"no golden vectors for firmware: .*{words}", remark)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras
def test_a_model_that_tflite_micro_loads_and_cannot_run_is_released(tmp_path: Path) -> None:
    """It has no kernel for a cast from uint8."""
    pytest.importorskip("tflite_micro", reason="TFLite Micro is not installed")
    import keras

    pixels = keras.Input((8, 8, 3), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 127.5, -1)(pixels)
    net = keras.Model(pixels, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(scaled)))
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
    package = edgeml.build(net, evaluation=x, recipes=["tflite-fp32"])
    record = package.artifact("tflite-fp32")
    assert record.verdict.released
    assert any("loads the artifact but cannot run it: " in remark for remark in record.verdict.remarks)
    with package.session("tflite-fp32", target="micro") as session, pytest.raises(TargetError, match="cannot run it"):
        session.predict(x.astype(np.float32))
