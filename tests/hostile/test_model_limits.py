"""Models that loop for ever or compute gigabytes, under right digests: each command ends by itself, with the reason."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import IsolationError, VerificationError
from tests.support.forging import forged
from tests.support.hostile_onnx import growing_onnx, looping_onnx

Run = Callable[..., "subprocess.CompletedProcess[str]"]

LOOP = "does not finish the artifact within the time limit"
MEMORY = r"needs more memory than its limit"


def with_onnx(package: bytes, make: Callable[..., bytes]) -> bytes:
    """The package with another ONNX artifact, and no other."""

    def change(manifest: Any, contents: dict[str, bytes]) -> None:
        for record in manifest["artifacts"]:
            if record["recipe"] != "onnx-fp32":
                contents.pop(record["file"])
                contents.pop(record.get("evidence"), None)
        for run in manifest["golden"]["runs"]:
            if run["recipe"] != "onnx-fp32":
                for file in run["outputs"].values():
                    contents.pop(file)
        (record,) = manifest["artifacts"] = [r for r in manifest["artifacts"] if r["recipe"] == "onnx-fp32"]
        manifest["golden"]["runs"] = [r for r in manifest["golden"]["runs"] if r["recipe"] == "onnx-fp32"]
        outputs = record["signature"]["outputs"]
        scores = next(output["name"] for output in outputs if output["dtype"] == "float32")
        contents[record["file"]] = make(scores, *(o["name"] for o in outputs if o["name"] != scores))

    return forged(package, change)


@pytest.fixture(scope="module")
def hostile(small_package_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Packages, and a file of inputs."""
    folder, data = tmp_path_factory.mktemp("hostile"), small_package_file.read_bytes()
    makes: dict[str, Callable[..., bytes]] = {
        LOOP: looping_onnx,
        MEMORY: lambda *outputs: growing_onnx(1000, *outputs),
    }
    paths = {}
    for i, (words, make) in enumerate(makes.items()):
        paths[words] = folder / f"{i}.edgeml"
        paths[words].write_bytes(with_onnx(data, make))
    np.save(folder / "x.npy", np.eye(4, dtype=np.float32))
    return paths | {"inputs": folder / "x.npy"}


@pytest.fixture
def _nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("_nothing_left")
@pytest.mark.parametrize("words", [LOOP, MEMORY])
@pytest.mark.parametrize("command", ["verify", "predict", "diff", "bench"])
def test_commands_end_within_the_limits(
    run: Run, hostile: dict[str, Path], small_package_file: Path, tmp_path: Path, command: str, words: str
) -> None:
    package = hostile[words]
    arguments: dict[str, list[object]] = {
        "verify": [package],
        "predict": [package, hostile["inputs"], "-o", tmp_path / "o.npz"],
        "diff": [small_package_file, package],
        "bench": [package, "--seconds", "0.05", "--cold-starts", "0"],
    }
    begun = time.monotonic()
    done = run(command, *arguments[command], "--timeout", "1")
    assert time.monotonic() - begun < 30
    assert done.returncode in {1, 3}, done.stderr
    message = " ".join(done.stderr.split())
    assert words in message
    assert "--timeout" in message or "--memory" in message
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o.npz").exists()


def test_a_model_that_needs_memory_runs_with_more_of_it(
    run: Run, small_package_file: Path, hostile: dict[str, Path], tmp_path: Path
) -> None:
    """The default for a model of some hundred bytes is below 500 MB."""
    package, output = tmp_path / "p.edgeml", tmp_path / "o.npz"
    package.write_bytes(with_onnx(small_package_file.read_bytes(), lambda *outputs: growing_onnx(200, *outputs)))
    predict = ("predict", package, hostile["inputs"], "-o", output)
    assert MEMORY in " ".join(run(*predict).stderr.split())
    for memory in ("700", "0"):
        done = run(*predict, "--memory", memory, "--force")
        assert done.returncode == 0, done.stderr
    assert np.load(output)["scores"].shape == (4, 3)


@pytest.mark.parametrize("option", ["--memory", "--timeout"])
def test_limits_below_nothing_are_refused(run: Run, small_package_file: Path, option: str) -> None:
    done = run("verify", small_package_file, option, "-1")
    assert done.returncode == 2
    assert option in done.stderr


@pytest.mark.usefixtures("_nothing_left")
@pytest.mark.parametrize(
    ("make", "words"),
    [(looping_onnx, "exceeded its time limit"), (lambda: growing_onnx(4000), "not enough memory")],
)
def test_build_refuses_the_model(run: Run, tmp_path: Path, make: Callable[[], bytes], words: str) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(make())
    begun = time.monotonic()
    done = run("build", model, "-o", tmp_path / "p.edgeml", "--timeout", "1", "--recipe", "onnx-fp32")
    assert time.monotonic() - begun < 60
    assert done.returncode == 1, done.stderr
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "p.edgeml").exists()


def test_build_refuses_a_recipe_that_exceeds_a_limit_and_keeps_the_reason(
    small_package_file: Path, tmp_path: Path
) -> None:
    """With the original model's answers, the file itself runs in the proof alone."""
    model = tmp_path / "model.onnx"
    model.write_bytes(growing_onnx(400))
    x = np.eye(4, dtype=np.float32)
    package = edgeml.build(
        model, calibration=x, reference={"scores": np.ones((4, 3), np.float32)}, recipes="onnx-fp32", progress=False
    )
    (refused,) = package.manifest.refused
    assert MEMORY in refused.reason
    assert "memory_mb" in refused.fix


@pytest.mark.parametrize("words", [LOOP, MEMORY])
def test_an_app_gets_an_error(hostile: dict[str, Path], words: str) -> None:
    package = edgeml.open_package(hostile[words])
    with package.session("onnx-fp32", isolated=True, memory_mb=200, timeout_s=1) as session:
        for _ in range(2):
            with pytest.raises(IsolationError, match=words):
                session.predict(np.eye(4, dtype=np.float32))
    with pytest.raises(VerificationError, match=words):
        package.verify(timeout_s=1)


def test_json_has_the_reason(run: Run, hostile: dict[str, Path]) -> None:
    done = run("verify", hostile[LOOP], "--timeout", "1", "--json")
    assert done.returncode == 3
    assert LOOP in json.loads(done.stdout or done.stderr)["error"]["message"]
