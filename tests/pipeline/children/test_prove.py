"""Artifacts run in a child process as a device would run them, damaged ones among them: some crash the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml.core.artifact import Artifact
from edgeml.core.errors import ConversionError, TargetError
from edgeml.core.system.worker import Worker, WorkerCrash
from edgeml.demo.digits import Digits
from edgeml.pipeline.children.prove import ProofSettings
from edgeml.pipeline.outcome import Run
from edgeml.pipeline.saved_inputs import save_arrays


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
    with pytest.raises((TargetError, WorkerCrash)) as caught:
        proving.call("run", broken, returns=Run)
    if isinstance(caught.value, TargetError):
        assert "cannot load the artifact" in caught.value.message


@pytest.mark.slow
def test_a_model_that_crashes_the_engine_takes_the_child_along_and_nothing_else(
    net_package: edgeml.Package, proving: Worker, digits: Digits
) -> None:
    whole = artifact(net_package, "tflite-fp32")
    crashes = []
    for position in range(64):  # the file's root: offsets into it that are not checked
        try:
            proving.call("run", msgspec.structs.replace(whole, data=zeroed(whole.data, position)), returns=Run)
        except WorkerCrash as crash:
            crashes.append(crash.message)
        except TargetError:
            pass
    assert "The child process died of SIGSEGV in 'run'." in crashes
    run = proving.call("run", whole, returns=Run)
    np.testing.assert_array_equal(
        run.outputs["scores"], net_package.session("tflite-fp32").predict(digits.evaluation[:3])
    )


def test_an_artifact_of_which_the_signature_lies_is_refused(net_package: edgeml.Package, proving: Worker) -> None:
    whole = artifact(net_package, "onnx-fp32")
    (image,) = whole.signature.inputs
    signature = msgspec.structs.replace(whole.signature, inputs=(msgspec.structs.replace(image, dtype="int8"),))
    with pytest.raises(TargetError, match=r"'image' to be float32 .* int8 .* is declared"):
        proving.call("run", msgspec.structs.replace(whole, signature=signature), returns=Run)


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
        pytest.raises(ConversionError, match="NaN or infinity in 'value' for 1 of 5 samples, the first of them 2"),
    ):
        worker.call("run", broken, returns=Run)
