"""Recipes that fail: refused with the reason, kept to be reproduced, and no harm to the others."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeml
from edgeml.core.artifact import Refusal
from edgeml.core.errors import InputError
from edgeml.core.system.worker import Worker
from edgeml.pipeline import packaging as assembly
from edgeml.pipeline.reproduction import collect_shared_files, create_failure
from edgeml.pipeline.source_model import ModelFile
from tests.support.fork_server import ForkServer

X = np.random.default_rng(0).standard_normal((20, 16)).astype(np.float32)
ROOT = Path(edgeml.__file__).parent.parent


def reasons(package: edgeml.Package) -> dict[str, str]:
    return {record.recipe: record.reason for record in package.manifest.refused}


Reproduce = Callable[[Path, str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def reproduced(fork_server: ForkServer) -> Reproduce:
    """Runs the script that was kept of a recipe in a folder, as its reader would."""
    return lambda folder, recipe: fork_server.python(folder / recipe / "reproduce.py", cwd=folder.parent)


@pytest.fixture(scope="module")
def without_operator(keras_models: Worker) -> edgeml.Package:
    path = keras_models.call("make", "cumprod", returns=Path)
    return edgeml.build(path, calibration=X, recipes=["tflite-fp32", "tflite-int8", "onnx-fp32"])


def test_an_operator_that_a_format_lacks(without_operator: edgeml.Package) -> None:
    assert without_operator.released == ("onnx-fp32",)
    assert set(reasons(without_operator)) == {"tflite-fp32", "tflite-int8"}
    assert all(
        "operators that are not supported in TFLite: tf.Cumprod" in reason
        for reason in reasons(without_operator).values()
    )
    with pytest.raises(InputError, match=r"tf\.Cumprod"):
        without_operator.session("tflite-fp32")


def test_log_and_script_are_kept_beside_the_package(without_operator: edgeml.Package, tmp_path: Path) -> None:
    without_operator.save(tmp_path / "cumprod.edgeml")
    folder = tmp_path / "cumprod.edgeml.failed"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "calibration.npz",
        "edgeml.txt",
        "judged.npz",
        "source.keras",
        "tflite-fp32/log.txt",
        "tflite-fp32/reproduce.py",
        "tflite-int8/log.txt",
        "tflite-int8/reproduce.py",
    ]
    log = (folder / "tflite-fp32" / "log.txt").read_text(encoding="utf-8")
    assert "ERROR_NEEDS_FLEX_OPS" in log  # what the converter itself printed
    assert "Traceback" in log
    script = (folder / "tflite-fp32" / "reproduce.py").read_text(encoding="utf-8")
    assert "tf.Cumprod" in script
    assert str(tmp_path) not in script
    np.testing.assert_array_equal(np.load(folder / "calibration.npz")["x"], X)


def test_saving_again_clears_what_an_earlier_build_left_and_nothing_else(
    without_operator: edgeml.Package, net_package: edgeml.Package, tmp_path: Path
) -> None:
    path, folder = tmp_path / "cumprod.edgeml", tmp_path / "cumprod.edgeml.failed"
    without_operator.save(path)
    (folder / "notes.txt").write_text("mine")
    net_package.save(path)
    assert sorted(entry.name for entry in folder.iterdir()) == ["edgeml.txt", "notes.txt"]
    (folder / "notes.txt").unlink()
    net_package.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cumprod.edgeml"]


@pytest.mark.slow
def test_the_script_reproduces_it(without_operator: edgeml.Package, tmp_path: Path, reproduced: Reproduce) -> None:
    without_operator.save(tmp_path / "cumprod.edgeml")
    done = reproduced(tmp_path / "cumprod.edgeml.failed", "tflite-fp32")
    assert done.returncode == 1
    assert (
        "ConversionError: The TFLite converter failed: operators that are not supported in TFLite: tf.Cumprod"
        in done.stderr
    )
    assert "did not occur again" not in done.stdout


@pytest.fixture(scope="module")
def crashing(keras_models: Worker) -> edgeml.Package:
    """The first recipe kills the converting child."""
    path = keras_models.call("make", "crashing", returns=Path)
    return edgeml.build(path, evaluation=X, recipes=["tflite-fp32", "onnx-fp32"], trust_source=True)


def test_a_converter_that_crashes_does_not_take_the_build_along(crashing: edgeml.Package) -> None:
    assert crashing.released == ("onnx-fp32",)
    assert reasons(crashing) == {"tflite-fp32": "The child process died of SIGSEGV in 'convert'."}
    assert [item.fix.startswith("build another recipe") for item in crashing.manifest.refused] == [True]
    assert [failure.recipe for failure in crashing.failures] == ["tflite-fp32"]


def test_the_script_reproduces_a_crash(crashing: edgeml.Package, tmp_path: Path, reproduced: Reproduce) -> None:
    crashing.save(tmp_path / "crashing.edgeml")
    assert reproduced(tmp_path / "crashing.edgeml.failed", "tflite-fp32").returncode == -signal.SIGSEGV


@pytest.fixture(scope="module")
def overflowing(keras_models: Worker) -> edgeml.Package:
    path = keras_models.call("make", "log", returns=Path)
    return edgeml.build(path, evaluation=X, recipes=["tflite-fp16", "tflite-fp32"])


def test_an_artifact_that_gives_no_numbers_is_refused(overflowing: edgeml.Package) -> None:
    assert overflowing.released == ("tflite-fp32",)
    assert reasons(overflowing) == {
        "tflite-fp16": "The artifact returns NaN or infinity in 'value' for 20 of 20 samples, first for sample 0."
    }


@pytest.mark.slow
def test_the_script_reproduces_what_the_proof_found(
    overflowing: edgeml.Package, tmp_path: Path, reproduced: Reproduce
) -> None:
    overflowing.save(tmp_path / "log.edgeml")
    done = reproduced(tmp_path / "log.edgeml.failed", "tflite-fp16")
    assert done.returncode == 1
    assert "NaN or infinity in 'value' for 20 of 20 samples" in done.stderr


@pytest.mark.slow
def test_a_script_says_when_the_failure_does_not_come_again(
    overflowing: edgeml.Package, tmp_path: Path, reproduced: Reproduce
) -> None:
    overflowing.save(tmp_path / "log.edgeml")
    folder = tmp_path / "log.edgeml.failed"
    script = folder / "tflite-fp16" / "reproduce.py"
    script.write_text(script.read_text(encoding="utf-8").replace("'tflite-fp16'", "'tflite-fp32'"), encoding="utf-8")
    done = reproduced(folder, "tflite-fp16")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "tflite-fp32 was converted and ran: the failure did not occur again." in done.stdout


def test_inputs_of_any_name_are_kept(tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    model.write_bytes(b"model")
    inputs = {"file": X, "allow_pickle": X[:, :2]}
    found = collect_shared_files(ModelFile("keras", model), inputs, None)
    assert set(found) == {"source.keras", "judged.npz"}
    (tmp_path / "judged.npz").write_bytes(found["judged.npz"])
    loaded = np.load(tmp_path / "judged.npz")
    assert set(loaded) == set(inputs)
    for name, array in inputs.items():
        np.testing.assert_array_equal(loaded[name], array)


@pytest.mark.parametrize("reason", ['"""', "a\\", "line\nline", "'quoted'", "{braces}", "\\N{BELL}", 'ends with "'])
def test_any_reason_makes_a_script_that_python_reads(tmp_path: Path, reason: str) -> None:
    failure = create_failure(
        Refusal("tflite-fp32", reason, failed=True), ModelFile("keras", tmp_path / "model.keras"), None
    )
    compile(failure.files["reproduce.py"], "reproduce.py", "exec")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("Load model from /tmp/ort.quant.u9keaxb3/augmented.onnx failed", "Load model from augmented.onnx failed"),
        ("'/home/someone/model.keras': no", "'model.keras': no"),
        ("layer functional_1/gelu/Erfc of 3/4", "layer functional_1/gelu/Erfc of 3/4"),
        ("see https://example.org/guide/ops", "see https://example.org/guide/ops"),
        ("x" * 9999, "x" * 2000),
    ],
)
def test_reasons_name_no_folder_and_fill_no_page(reason: str, told: str) -> None:
    assert assembly.sanitize_reason(reason) == told
