"""What this machine can run on, what is chosen for it, and what a target that is not there says."""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema

import edgeml
from edgeml.core.engines import find_engine
from edgeml.core.errors import EdgemlError, InputError, MissingDependencyError, TargetError
from edgeml.core.evidence import Latency
from edgeml.core.goal import Verdict
from edgeml.core.targets import Target
from tests.support.packing import artifact_bytes, packed

MS = {"tflite-fp32": 0.5, "tflite-int8": 0.2, "onnx-fp32": 0.3, "onnx-int8": 0.9}


def changed(
    package: edgeml.Package,
    *,
    ms: Mapping[str, float] | None = None,
    rejected: tuple[str, ...] = (),
    needs: Mapping[str, str] | None = None,
) -> edgeml.Package:
    """The package with four artifacts, and other evidence of them."""
    records = []
    for recipe in MS:
        record = package.artifact(recipe)
        if ms is not None:
            record = msgspec.structs.replace(record, measurement=Latency(100, ms[recipe], 2 * ms[recipe]))
        if recipe in rejected:
            record = msgspec.structs.replace(record, verdict=Verdict("rejected", ("too far off",)))
        if needs and recipe in needs:
            features = (f"{platform.machine()}:{needs[recipe]}",)
            record = msgspec.structs.replace(
                record, needs=msgspec.structs.replace(record.needs, cpu_features=features), evidence=None
            )
        records.append(msgspec.structs.replace(record, evidence=None))
    golden = package.manifest.golden
    runs = tuple(run for run in golden.runs if run.recipe in MS)
    manifest = msgspec.structs.replace(
        package.manifest, artifacts=tuple(records), golden=msgspec.structs.replace(golden, runs=runs)
    )
    named = [record.file for record in records]
    for group in (golden.inputs, golden.outputs, *(run.outputs for run in runs)):
        named += group.values()
    return edgeml.Package.of(manifest, {name: package.read(name) for name in named})


def test_what_there_is_can_be_used_and_what_is_missing_can_be_mended(small_package: edgeml.Package) -> None:
    found = edgeml.targets()
    assert {(target.name, target.format) for target in found if target.available} >= {
        ("cpu", "tflite"),
        ("cpu", "onnx"),
    }
    known = {"cpu", "gpu", "cuda", "tensorrt", "webgpu", "coreml", "xnnpack", "qnn", "edgetpu", "micro"}
    assert {target.name for target in found} == known
    for target in found:
        assert target.recipes
        assert all(recipe.startswith(target.format) for recipe in target.recipes)
        if target.available:
            assert target.version
            session = small_package.session(f"{target.format}-fp32", target=target.name, allow_fallback=True)
            assert session.engine == target.engine
        else:
            assert target.reason
            assert target.fix


def test_the_command_tells_the_same() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "edgeml", "targets", "--json"], capture_output=True, text=True, check=True
    )
    assert msgspec.json.decode(shown.stdout, type=tuple[Target, ...]) == edgeml.targets()
    told = subprocess.run([sys.executable, "-m", "edgeml", "targets"], capture_output=True, text=True, check=True)
    for target in edgeml.targets():
        line = target.version if target.available else target.fix
        assert line and line in told.stderr


def test_the_fastest_is_chosen_where_latency_was_measured(net_package: edgeml.Package) -> None:
    choice = changed(net_package, ms=MS).choose()
    assert (choice.recipe, choice.target) == ("tflite-int8", "cpu")
    assert "the fastest of 4 that run here, 0.200 ms as measured on a CPU of these features" in choice.reason


def test_the_smallest_is_chosen_where_it_was_not(net_package: edgeml.Package) -> None:
    package = changed(net_package)
    choice = package.choose()
    sizes = {recipe: len(artifact_bytes(package, recipe)) for recipe in MS}
    assert choice.recipe == min(sizes, key=lambda recipe: sizes[recipe])
    assert f"{sizes[choice.recipe]} bytes; latency was not measured" in choice.reason


def test_what_is_rejected_or_needs_another_cpu_is_not_chosen(net_package: edgeml.Package) -> None:
    package = changed(net_package, ms=MS, rejected=("tflite-int8",), needs={"onnx-fp32": "telepathy"})
    choice = package.choose()
    assert choice.recipe == "tflite-fp32"
    assert "onnx-fp32 cannot: onnx-fp32 needs telepathy, which this CPU lacks" in choice.reason
    session = package.session(target="auto")
    assert session.reason == choice.reason
    assert package.session("tflite-int8").reason == ""
    assert "no other artifact" in package.session("tflite-int8", target="auto").reason


def test_what_was_measured_elsewhere_is_told(net_package: edgeml.Package) -> None:
    package = changed(net_package, ms=MS)
    cpu = msgspec.structs.replace(package.manifest.cpu, architecture="abacus")
    manifest = msgspec.structs.replace(package.manifest, cpu=cpu)
    elsewhere = edgeml.Package.of(manifest, {name: package.read(name) for name in manifest.files})
    assert "on another CPU (abacus)" in elsewhere.choose().reason


def test_predict_says_why(net_package_file: Path, tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "x.npy", np.zeros((3, 8, 8, 1), np.float32))
    command = [sys.executable, "-m", "edgeml", "predict", str(net_package_file), str(tmp_path / "x.npy")]
    shown = subprocess.run(
        [*command, "-o", str(tmp_path / "o.npz"), "--json"], capture_output=True, text=True, check=True
    )
    told = json.loads(shown.stdout)
    assert told["target"] == "cpu"
    assert told["reason"] == edgeml.open_package(net_package_file).choose().reason
    assert "operators on cpu" in told["placement"]


def refusal(package: edgeml.Package, recipe: str, target: str) -> EdgemlError:
    with pytest.raises(EdgemlError) as caught:
        package.session(recipe, target=target)
    return caught.value


def test_an_unknown_target(small_package: edgeml.Package) -> None:
    error = refusal(small_package, "onnx-fp32", "toaster")
    assert isinstance(error, TargetError)
    assert "There is no target 'toaster'" in error.message
    assert "cpu, gpu, cuda" in error.fix
    with pytest.raises(TargetError, match="There is no target 'toaster'"):
        small_package.choose(target="toaster")


def test_a_target_of_the_other_format(small_package: edgeml.Package) -> None:
    error = refusal(small_package, "onnx-fp32", "gpu")
    assert isinstance(error, TargetError)
    assert "Target 'gpu' runs tflite artifacts, not onnx" in error.message
    assert "cpu, cuda" in error.fix


@pytest.mark.skipif(bool(importlib.util.find_spec("tflite_micro")), reason="tflite-micro is installed")
def test_a_missing_wheel(small_package: edgeml.Package) -> None:
    error = refusal(small_package, "tflite-fp32", "micro")
    assert isinstance(error, MissingDependencyError)
    assert error.fix == "pip install 'edgeml[micro]'"


def test_a_missing_driver(net_package: edgeml.Package) -> None:
    import ctypes.util

    if ctypes.util.find_library("edgetpu"):
        pytest.skip("libedgetpu is installed")
    error = refusal(net_package, "tflite-int8", "edgetpu")
    assert isinstance(error, TargetError)
    assert "needs the driver libedgetpu.so.1" in error.message
    assert "apt-get install libedgetpu1-std" in error.fix


@pytest.mark.parametrize(("target", "provider"), [("cuda", "CUDA"), ("qnn", "QNN"), ("coreml", "CoreML")])
def test_a_provider_that_the_build_lacks(small_package: edgeml.Package, target: str, provider: str) -> None:
    if f"{provider}ExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has {provider}")
    error = refusal(small_package, "onnx-fp32", target)
    assert isinstance(error, TargetError)
    assert f"has no {provider}ExecutionProvider" in error.message
    assert error.fix


def test_of_all_artifacts_those_that_the_target_runs_tell_what_is_missing(small_package: edgeml.Package) -> None:
    if "QNNExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has QNN")
    assert {record.recipe for record in small_package.manifest.artifacts} >= {"tflite-fp32", "onnx-fp32"}
    with pytest.raises(TargetError, match="has no QNNExecutionProvider"):
        small_package.choose(target="qnn")


def test_an_onnx_model_that_is_too_new(small_package: edgeml.Package) -> None:
    record = small_package.artifact("onnx-fp32")
    model = onnx.load_from_string(artifact_bytes(small_package, "onnx-fp32"))
    model.ir_version = 999
    with pytest.raises(TargetError, match=r"cannot load the artifact, which needs .* or newer: .*IR version") as caught:
        find_engine("onnx")(model.SerializeToString(), record.signature, needs=record.needs)
    assert "pip install --upgrade onnxruntime" in caught.value.fix


def test_a_tflite_model_that_is_too_new(small_package: edgeml.Package) -> None:
    record = small_package.artifact("tflite-fp32")
    model = schema.ModelT.InitFromPackedBuf(artifact_bytes(small_package, "tflite-fp32"), 0)
    model.operatorCodes[0].version = 99
    with pytest.raises(TargetError, match=r"which needs TensorFlow Lite .* or newer: .*version '99'") as caught:
        find_engine("tflite")(packed(model), record.signature, needs=record.needs)
    assert "pip install --upgrade ai-edge-litert" in caught.value.fix


def test_an_artifact_that_is_not_there_is_no_matter_of_targets(small_package: edgeml.Package) -> None:
    with pytest.raises(InputError, match="has no artifact 'tflite-int8'"):
        small_package.choose("tflite-int8")
