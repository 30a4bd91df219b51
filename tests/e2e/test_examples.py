"""Every example runs as it stands."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeml
from tests.support.fork_server import ForkServer

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Demo = tuple[Path, "subprocess.CompletedProcess[str]"]


@pytest.fixture
def example(fork_server: ForkServer) -> Callable[..., str]:
    """Runs an example by its name and gives what it prints."""

    def call(name: str, *arguments: Path) -> str:
        done = fork_server.python(EXAMPLES / name, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


@pytest.mark.slow
def test_keras_to_package(example: Callable[..., str], tmp_path: Path) -> None:
    printed = example("keras_to_package.py", tmp_path / "digits.edgeml")
    package = edgeml.open_package(tmp_path / "digits.edgeml")
    assert {"tflite-int8", "onnx-int8", "onnx-fp32"} <= set(package.released)
    assert printed.splitlines()[-1] == "first three: nine nine six"


@pytest.mark.slow
def test_sklearn_to_package(example: Callable[..., str], tmp_path: Path) -> None:
    printed = example("sklearn_to_package.py", tmp_path / "iris.edgeml")
    assert printed.splitlines()[-1].startswith("38 of 38 labels as scikit-learn gives them")


def test_predict_on_device(example: Callable[..., str], demo_run: Demo) -> None:
    printed = example("predict_on_device.py", demo_run[0] / "digits-net.edgeml", demo_run[0] / "digits.npz")
    assert [line.split()[1] for line in printed.splitlines()[1:]] == ["9", "9", "6"]


def test_no_example_is_left_out() -> None:
    tested = {"keras_to_package.py", "sklearn_to_package.py", "predict_on_device.py", "make_houses.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_houses_are_what_their_script_makes(example: Callable[..., str]) -> None:
    assert example("make_houses.py") == (EXAMPLES / "houses.csv").read_text(encoding="utf-8")
