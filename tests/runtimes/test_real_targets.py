"""Packages on real targets: other processors, other engines, GPUs. `make targets` sets up what they need."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import edgeml
from edgeml.core.integer_grid import dequantize
from edgeml.demo.digits import Digits
from edgeml.measurement.devices import Job, News, bench_on_device
from edgeml.package.golden import golden_inputs
from tests.support.hints import install_hint
from tests.support.mlperf import mlperf_model
from tests.support.packing import artifact_bytes
from tests.support.processes import eventually, repository
from tests.support.ssh_server import SshServer, missing_sshd
from tests.support.target_environments import Environment, environment

ON_TARGET = repository() / "tests/support/on_target.py"
RAW_MICRO = repository() / "tests/support/raw_micro.py"
MLPERF = {  # files and what they are called in MLPerf Tiny
    "kws": "kws_ref_model.tflite",
    "ic": "pretrainedResnet_quant.tflite",
    "vww": "vww_96_int8.tflite",
    "ad": "ad01_int8.tflite",
    "sww": "str_ww_ref_model.tflite",
}
OnTarget = Callable[..., dict[str, Any]]


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(environment(name) is None, reason=f"`make target-{name}` has not been run")


def made(name: str) -> Environment:
    found = environment(name)
    assert found is not None
    return found


def emulated_python(emulated: Environment, folder: Path) -> Path:
    """Write a script that is Python in emulation."""
    python = folder / "python3"
    emulator, *options = emulated.python
    # -0 tells Python that the script is itself, so that its children are emulated too.
    python.write_text(f'#!/bin/sh\nexec {emulator} -0 "$0" {" ".join(options)} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return python


@pytest.fixture
def on_target(tmp_path: Path) -> OnTarget:
    """Runs all artifacts of a package in an environment: from its name, the package, and the target."""

    def run(name: str, package: edgeml.Package, target: str = "cpu", *options: str) -> dict[str, Any]:
        package.save(tmp_path / "package.edgeml")
        used = made(name)
        if name == "aarch64":  # on 32-bit Arm, Python under another name does not find its modules
            used = replace(used, python=[str(emulated_python(used, tmp_path))])
        used.run(ON_TARGET, tmp_path / "package.edgeml", target, tmp_path, *options)
        found: dict[str, Any] = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
        for recipe, told in found["artifacts"].items():
            if "refused" not in told:
                with np.load(tmp_path / f"{recipe}.npz") as arrays:
                    told["arrays"] = dict(arrays)
        return found

    return run


@pytest.fixture(scope="module")
def pipeline_package(pipeline_file: Path, digits: Digits) -> edgeml.Package:
    """All nine recipes of the scikit-learn pipeline."""
    rows = [array.reshape(len(array), -1) for array in (digits.calibration, digits.evaluation)]
    return edgeml.build(
        pipeline_file, name="digits-pipeline", calibration=rows[0], evaluation=(rows[1], digits.evaluation_labels)
    )


def source_labels(package: edgeml.Package) -> np.ndarray:
    """The source's own labels of the golden inputs."""
    (file,) = package.manifest.golden.outputs.values()
    scores: np.ndarray = np.load(io.BytesIO(package.read(file)))
    decision = package.manifest.source.decision
    assert decision is not None
    return np.array(decision.labels)[scores.argmax(axis=1)]


@needs("aarch64")
@pytest.mark.skipif(bool(missing_sshd()), reason=missing_sshd())
def test_a_benchmark_on_an_aarch64_device(net_package: edgeml.Package, tmp_path: Path) -> None:
    """A real SSH server on this machine, and behind it the emulated Python; the connection is cut once."""
    net_package.save(tmp_path / "net.edgeml")
    found = made("aarch64")
    site = found.variables["PYTHONPATH"].split(os.pathsep)[1]  # without this checkout: edgeml is sent along
    python = emulated_python(found, tmp_path)
    server = SshServer(tmp_path / "server")
    told: list[str] = []

    def report(news: News) -> None:
        if news.text == "measuring" and "measuring" not in told:
            assert server.cut() > 0
        told.append(news.text)

    try:
        results = bench_on_device(
            server.device(name="pi", python=str(python), env={"PYTHONPATH": site, "PYTHONHOME": "/usr"}),
            Job(
                tmp_path / "net.edgeml", net_package.digest(), ("tflite", "onnx"),
                ("--artifact", "tflite-int8", "--artifact", "onnx-fp32", "--seconds", "0.1", "--cold-starts", "0"),
            ),
            report=report,
        )  # fmt: skip
        assert eventually(server.nothing_left)
    finally:
        server.stop()
    assert sum("connecting again" in text for text in told) == 1
    assert (results.machine.device, results.machine.cpu.architecture) == ("pi", "aarch64")
    assert {measurement.artifact for measurement in results.measurements} == {"tflite-int8", "onnx-fp32"}
    here = [check for check in net_package.verify().golden if check.family != "tflm"]  # which it has no wheel for
    there = [check for check in results.golden if check.family != "tflm"]
    assert [(check.artifact, check.family, check.status) for check in there] == [
        (check.recipe, check.family, "holds") for check in here
    ]


@needs("aarch64")
@pytest.mark.parametrize("which", ["net_package", "pipeline_package"])
def test_all_golden_vectors_hold_on_aarch64(request: pytest.FixtureRequest, on_target: OnTarget, which: str) -> None:
    package: edgeml.Package = request.getfixturevalue(which)
    found = on_target("aarch64", package)
    checks = [check for check in found["golden"] if "on target 'micro'" not in check[2]]  # which it has no wheel for
    assert len(checks) == len(package.manifest.artifacts)
    assert {check[1] for check in checks} == {"holds"}, found["golden"]
    for recipe, told in found["artifacts"].items():
        assert "refused" not in told, (recipe, told)
        assert (told["arrays"]["labels"] == source_labels(package)).mean() >= 0.9


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in ("tflite-runtime", "armv7")])
def test_tflite_runtime_answers_as_the_source_does(net_package: edgeml.Package, on_target: OnTarget, name: str) -> None:
    """All but the dynamic ranges, which it is too old for."""
    found = on_target(name, net_package)["artifacts"]
    for recipe in ("tflite-fp32", "tflite-fp16", "tflite-int8", "tflite-int16x8"):
        assert found[recipe]["engine"].startswith("tflite-runtime 2.14")
        assert (found[recipe]["arrays"]["labels"] == source_labels(net_package)).mean() >= 0.9
    inputs = golden_inputs(net_package.manifest.golden, net_package.read)
    (expected,) = net_package.session("tflite-fp32").run_raw(inputs).values()
    (output,) = (array for key, array in found["tflite-fp32"]["arrays"].items() if key != "labels")
    np.testing.assert_allclose(output, expected, atol=1e-5)
    assert "Didn't find op for builtin opcode" in found["tflite-dynamic"]["refused"]
    assert "needs TensorFlow Lite" in found["tflite-dynamic"]["refused"]
    assert install_hint("onnx") in found["onnx-fp32"]["refused"]


@needs("tflite-runtime")
def test_tflite_runtime_proves_floats_alone(net_package: edgeml.Package, on_target: OnTarget) -> None:
    """There XNNPACK runs them; integers, and on 32-bit Arm all, are run by kernels that have no golden vectors."""
    found = on_target("tflite-runtime", net_package)
    status = {recipe: (status, detail) for recipe, status, detail in found["golden"] if "'micro'" not in detail}
    assert status["tflite-fp32"][0] == status["tflite-fp16"][0] == "holds", status
    for recipe in ("tflite-int8", "tflite-int16x8"):
        assert status[recipe] == ("not run", "the engine of this machine belongs to the family tflite")


def same_as_raw(
    on_target: OnTarget, package: edgeml.Package, recipe: str, folder: Path
) -> tuple[dict[str, Any], np.ndarray]:
    """What the session in the environment `micro` says, and the raw interpreter's outputs; equal bit for bit."""
    told = on_target("micro", package, "micro")["artifacts"][recipe]
    data = artifact_bytes(package, recipe)
    (values,) = golden_inputs(package.manifest.golden, package.read).values()
    takes = Interpreter(model_content=data).get_input_details()[0]
    scale, zero = takes["quantization"]
    if scale:
        limits = np.iinfo(takes["dtype"])
        values = np.clip(np.rint(values / np.float32(scale)) + zero, limits.min, limits.max)
    (folder / "model.tflite").write_bytes(data)
    np.save(folder / "inputs.npy", values.astype(takes["dtype"]))
    printed = made("micro").run(RAW_MICRO, folder / "model.tflite", folder / "inputs.npy", folder / "outputs.npy")
    assert told["arena_bytes"] == int(printed)
    raw: np.ndarray = np.load(folder / "outputs.npy")
    (found,) = (array for name, array in told["arrays"].items() if name != "labels")
    np.testing.assert_array_equal(found, raw)
    assert found.dtype == raw.dtype
    return told, raw


@needs("micro")
@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "tflite-int16x8"])
def test_micro_gives_what_the_raw_interpreter_gives(
    net_package: edgeml.Package, on_target: OnTarget, tmp_path: Path, recipe: str
) -> None:
    told, raw = same_as_raw(on_target, net_package, recipe, tmp_path)
    assert told["family"] == "tflm"
    assert "8 of 8 operators on micro" in told["placement"]
    (spec,) = net_package.artifact(recipe).signature.outputs
    real = raw if spec.quantization is None else dequantize(raw, spec.quantization)
    assert (real.argmax(axis=1) == source_labels(net_package)).all()


@needs("micro")
def test_packages_hold_what_tflite_micro_answers(net_package: edgeml.Package, on_target: OnTarget) -> None:
    """Where the machine that builds has it: golden vectors of its own, by which firmware proves itself."""
    if not any(run.family == "tflm" for run in net_package.manifest.golden.runs):
        pytest.skip("tflite-micro is not installed beside the tests")
    found = on_target("micro", net_package, "micro")["golden"]
    proven = {recipe for recipe, status, detail in found if status == "holds"}
    assert proven == {"tflite-fp32", "tflite-int8", "tflite-int16x8"}, found


@needs("micro")
@pytest.mark.parametrize("name", MLPERF)
def test_mlperf_tiny_on_micro(
    on_target: OnTarget, tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    package = edgeml.build(mlperf_model(MLPERF[name]), name=name)
    told, _ = same_as_raw(on_target, package, "tflite-int8", tmp_path)
    record_property("arena_bytes", told["arena_bytes"])
    print(f"{name}: arena of {told['arena_bytes']} bytes")  # noqa: T201  # the figure is asked for


@needs("micro")
def test_what_tflite_micro_lacks_is_refused(net_package: edgeml.Package, on_target: OnTarget) -> None:
    found = on_target("micro", net_package, "micro")["artifacts"]
    assert "Input type: FLOAT32 with filter type: INT8 not supported" in found["tflite-dynamic"]["refused"]
    assert "cannot load the artifact" in found["tflite-fp16"]["refused"]
    assert "Target 'micro'" not in found["tflite-int8"].get("refused", "")
    assert "runs tflite artifacts, not onnx" in found["onnx-fp32"]["refused"]


@needs("litert-gpu")
def test_litert_gpu_takes_whole_models(net_package: edgeml.Package, on_target: OnTarget) -> None:
    found = on_target("litert-gpu", net_package, "gpu")["artifacts"]
    inputs = golden_inputs(net_package.manifest.golden, net_package.read)
    for recipe, most in {"tflite-fp32": 1e-5, "tflite-fp16": 1e-4, "tflite-dynamic": 0.02, "tflite-int8": 2}.items():
        count, of = re.findall(r"\d+", found[recipe]["placement"])[:2]
        assert count == of and "(GPU: " in found[recipe]["placement"]
        assert found[recipe]["elsewhere"] == []
        (expected,) = net_package.session(recipe).run_raw(inputs).values()
        (output,) = (array for name, array in found[recipe]["arrays"].items() if name != "labels")
        assert np.abs(output.astype(np.float64) - expected).max() <= most
    assert re.search(r"would run elsewhere: CONV_2D ×\d \(CPU\), .*SOFTMAX", found["tflite-int16x8"]["refused"])


@needs("webgpu")
def test_webgpu_takes_whole_models_or_says_what_it_leaves(
    net_file: Path, net_package: edgeml.Package, digits: Digits, on_target: OnTarget
) -> None:
    """Whole where the batch is fixed; a free one leaves operators on shapes to the CPU."""
    fixed = edgeml.build(net_file, name="one", evaluation=digits.evaluation[:20], recipes=["onnx-fp32"], batch=1)
    told = on_target("webgpu", fixed, "webgpu")["artifacts"]["onnx-fp32"]
    assert "WebGpuExecutionProvider: " in told["placement"] and "Conv ×3" in told["placement"]
    assert told["elsewhere"] == []
    inputs = golden_inputs(fixed.manifest.golden, fixed.read)
    (expected,) = fixed.session("onnx-fp32").run_raw(inputs).values()
    np.testing.assert_allclose(next(a for n, a in told["arrays"].items() if n != "labels"), expected, atol=1e-5)
    refused = on_target("webgpu", net_package, "webgpu")["artifacts"]["onnx-fp32"]["refused"]
    assert re.search(r"would run elsewhere: .*Gather ×\d \(CPUExecutionProvider\)", refused)
    allowed = on_target("webgpu", net_package, "webgpu", "--allow-fallback")["artifacts"]["onnx-fp32"]
    assert "Gather" in allowed["elsewhere"]
    assert "Conv" not in allowed["elsewhere"]


@needs("cuda")
def test_a_cuda_provider_that_does_not_load_is_told(net_package: edgeml.Package, on_target: OnTarget) -> None:
    """The build has the provider, the machine has not its libraries; onnxruntime itself would run on the CPU."""
    told = on_target("cuda", net_package, "cuda")["artifacts"]["onnx-fp32"]
    if "refused" not in told:
        pytest.skip("this machine has CUDA's libraries")
    assert "cannot load CUDAExecutionProvider, and uses ['CPUExecutionProvider']" in told["refused"]
    assert "install its driver and libraries" in told["refused"]
    assert "refused" not in on_target("cuda", net_package, "cpu")["artifacts"]["onnx-fp32"]


@pytest.mark.parametrize(
    ("name", "target", "recipe"),
    [
        pytest.param("micro", "micro", "tflite-int8", marks=needs("micro")),
        pytest.param("tflite-runtime", "cpu", "tflite-int8", marks=needs("tflite-runtime"), id="tflite_runtime"),
        pytest.param("litert-gpu", "gpu", "tflite-fp32", marks=needs("litert-gpu"), id="litert_gpu"),
        pytest.param("webgpu", "webgpu", "onnx-fp32", marks=needs("webgpu")),
    ],
)
def test_eight_threads_on_one_session_of_each_engine(
    net_file: Path, digits: Digits, tmp_path: Path, name: str, target: str, recipe: str
) -> None:
    """Two seconds of what benchmarks/eight_threads.py does for half a minute."""
    data: dict[str, Any] = {"calibration": digits.calibration, "evaluation": digits.evaluation[:20]}
    edgeml.build(net_file, name="eight", recipes=[recipe], batch=1, **data).save(tmp_path / "eight.edgeml")
    script = repository() / "benchmarks/eight_threads.py"
    options: list[str | Path] = ["--target", target, "--seconds", "2", "--json", tmp_path / "found.json"]
    made(name).run(script, tmp_path / "eight.edgeml", *options)
    (row,) = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["rows"]
    assert (row["wrong"], row["errors"]) == (0, 0)
    assert row["answers"] >= 8 * 33  # each thread came round at least once: one sample, sixteen, a stream of sixteen
