"""What this machine can run on, and what a target that is not there says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import msgspec
import onnxruntime
import pytest

import edgeml
from edgeml.core.errors import EdgemlError, MissingDependencyError, TargetError
from edgeml.core.registry import targets as module
from edgeml.core.registry.tables import ENGINES
from edgeml.core.registry.targets import Host, Target, exclusion, this_host
from tests.support.hints import install_hint


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
            assert bool(target.fix) != bool(
                re.search("exists on|cannot have|does not have a wheel|already", target.reason)
            )


@pytest.mark.slow
def test_the_command_tells_the_same() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "edgeml", "targets", "--json"], capture_output=True, text=True, check=True
    )
    assert msgspec.json.decode(shown.stdout, type=tuple[Target, ...]) == edgeml.targets()
    shown = subprocess.run([sys.executable, "-m", "edgeml", "targets"], capture_output=True, text=True, check=True)
    for target in edgeml.targets():
        line = target.version if target.available else target.fix or target.reason
        assert line
        assert line in shown.stdout


PC = Host("Linux", "x86_64", (3, 13))
PI = Host("Linux", "aarch64", (3, 11), ("raspberrypi", "brcm"))
JETSON = Host("Linux", "aarch64", (3, 12), ("nvidia",))
QUALCOMM = Host("Linux", "aarch64", (3, 12), ("qcom",))
ARM32 = Host("Linux", "armv7l", (3, 11), ("raspberrypi", "brcm"))
MAC = Host("Darwin", "arm64", (3, 13))


@pytest.mark.parametrize(
    ("host", "excluded"),
    [  # by the wheels on PyPI in November 2026, and by what a board has
        (PC, {"coreml onnxruntime", "qnn onnxruntime", "cpu tflite_runtime", "edgetpu tflite_runtime"}),
        (PI, {"coreml onnxruntime", "qnn onnxruntime", "cuda onnxruntime", "tensorrt onnxruntime",
              "micro tflite_micro"}),
        (JETSON, {"coreml onnxruntime", "qnn onnxruntime", "micro tflite_micro", "cpu tflite_runtime",
                  "edgetpu tflite_runtime"}),
        (QUALCOMM, {"coreml onnxruntime", "cuda onnxruntime", "tensorrt onnxruntime", "micro tflite_micro",
                    "cpu tflite_runtime", "edgetpu tflite_runtime"}),
        (MAC, {"cuda onnxruntime", "tensorrt onnxruntime", "qnn onnxruntime", "cpu tflite_runtime",
               "edgetpu tflite_runtime"}),
    ],
)  # fmt: skip
def test_what_cannot_exist_on_a_machine_is_not_advised(host: Host, excluded: set[str]) -> None:
    assert {f"{engine.target} {engine.module}" for engine in ENGINES if exclusion(engine, host)} == excluded


def test_on_32_bit_arm_tflite_runtime_alone_can_be_added() -> None:
    possible = {engine.module for engine in ENGINES if not exclusion(engine, ARM32)}
    assert possible == {"tflite_runtime"}


def test_a_raspberry_pi_gets_advice_for_what_it_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "this_host", lambda: PI)
    advised = {target.name for target in edgeml.targets() if target.fix}
    assert advised <= {"cpu", "gpu", "webgpu", "xnnpack", "edgetpu"}
    assert not [target for target in edgeml.targets() if target.available and target.fix]


def test_an_engine_beside_one_that_serves_the_target_is_not_advised() -> None:
    cpu = [target for target in edgeml.targets() if (target.name, target.format) == ("cpu", "tflite")]
    assert [target.available for target in cpu].count(True) >= 1
    assert all(not target.fix for target in cpu)


def test_this_machine_is_known() -> None:
    import platform

    host = this_host()
    assert (host.system, host.architecture) == (platform.system(), platform.machine())
    assert host.python == sys.version_info[:2]


def refusal(package: edgeml.Package, recipe: str, target: str) -> EdgemlError:
    with pytest.raises(EdgemlError) as caught:
        package.session(recipe, target=target)
    return caught.value


def test_an_unknown_target(small_package: edgeml.Package) -> None:
    error = refusal(small_package, "onnx-fp32", "toaster")
    assert isinstance(error, TargetError)
    assert "Unknown target 'toaster'" in error.message
    assert "cpu, gpu, cuda" in error.fix
    with pytest.raises(TargetError, match="Unknown target 'toaster'"):
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
    assert error.fix == install_hint("micro")


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
    assert f"does not include {provider}ExecutionProvider" in error.message
    assert error.fix
