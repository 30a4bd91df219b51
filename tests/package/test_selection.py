"""Which artifact and target are chosen for this machine, and what is told of it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime
import pytest

import edgeml
from edgeml.core.errors import InputError, TargetError
from edgeml.core.goal import Verdict
from edgeml.core.records.evidence import Latency
from edgeml.runtimes.engines.litert import LiteRTAdapter
from tests.support.packing import artifact_bytes

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


def test_the_fastest_is_chosen_where_latency_was_measured(net_package: edgeml.Package) -> None:
    choice = changed(net_package, ms=MS).choose()
    assert (choice.recipe, choice.target) == ("tflite-int8", "cpu")
    assert "the fastest of 4 that run here, 0.200 ms as measured on a CPU with these features" in choice.reason


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
    assert "onnx-fp32 cannot: onnx-fp32 requires telepathy, which this CPU does not support" in choice.reason
    session = package.session(target="auto")
    assert session.reason == choice.reason
    assert package.session("tflite-int8").reason == ""
    assert "the only candidate" in package.session("tflite-int8", target="auto").reason


def test_what_was_measured_elsewhere_is_told(net_package: edgeml.Package) -> None:
    package = changed(net_package, ms=MS)
    cpu = msgspec.structs.replace(package.manifest.cpu, architecture="abacus")
    manifest = msgspec.structs.replace(package.manifest, cpu=cpu)
    elsewhere = edgeml.Package.of(manifest, {name: package.read(name) for name in manifest.files})
    assert "on another CPU (abacus)" in elsewhere.choose().reason


def test_of_all_artifacts_those_that_the_target_runs_tell_what_is_missing(small_package: edgeml.Package) -> None:
    if "QNNExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has QNN")
    assert {record.recipe for record in small_package.manifest.artifacts} >= {"tflite-fp32", "onnx-fp32"}
    with pytest.raises(TargetError, match="does not include QNNExecutionProvider"):
        small_package.choose(target="qnn")


def test_an_artifact_that_is_not_there_is_no_matter_of_targets(small_package: edgeml.Package) -> None:
    with pytest.raises(InputError, match="does not contain an artifact 'tflite-int8'"):
        small_package.choose("tflite-int8")


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


def test_the_next_best_is_taken_where_one_does_not_open(
    net_package: edgeml.Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = LiteRTAdapter.__init__

    def stubborn(self: LiteRTAdapter, data: bytes, *arguments: Any, **options: Any) -> None:
        if data == net_package.read(net_package.artifact("tflite-int8").file):
            raise TargetError("No memory for a model.")
        opened(self, data, *arguments, **options)

    monkeypatch.setattr(LiteRTAdapter, "__init__", stubborn)
    package = changed(net_package, ms=MS)
    with package.session() as session:
        assert (session.engine, session.target) == ("onnxruntime", "cpu")
        assert "onnx-fp32 on cpu: the fastest of 3" in session.reason
        assert "tflite-int8 on cpu did not open: No memory for a model." in session.reason
        assert len(session.classify(net_package.golden_inputs()["image"])) == net_package.manifest.golden.samples
    with pytest.raises(TargetError, match="No memory for a model"):  # what is named is not replaced
        package.session("tflite-int8")
    with pytest.raises(TargetError, match="No memory for a model"):
        package.session("tflite-int8", target="auto")
