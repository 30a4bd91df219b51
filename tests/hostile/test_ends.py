"""Ends of processes, and odd names: limits, kills, closed streams, Ctrl-C, names that are not UTF-8."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

import edgeml
from edgeml.core.errors import EdgemlError, InputError, ResourceError
from edgeml.core.system.worker import Worker
from tests.support.held import HeldSettings
from tests.support.processes import MARKER, eventually, marked, repository

pytestmark = pytest.mark.usefixtures("cold_children")

PACKAGE = repository() / "tests/data/format1.edgeml"
HELD = "tests.support.held:Held"
ODD = os.fsdecode(b"n\xffme \x80")  # no UTF-8


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inputs") / "x.npz"
    np.savez(path, x=edgeml.open_package(PACKAGE).golden_inputs()["image"])
    return path


def run(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgeml", *words],
        capture_output=True, text=True, check=False, errors="replace", timeout=120, **options,  # type: ignore[call-overload]
    )  # fmt: skip


def close_all(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def limited(number: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(number, (value, value))


@pytest.mark.parametrize("megabytes", [60, 100, 120, 150, 200])
def test_too_little_address_space_is_told(megabytes: int, inputs: Path, tmp_path: Path) -> None:
    done = run(
        "predict", PACKAGE, inputs, "-o", tmp_path / "o.npz", preexec_fn=limited(resource.RLIMIT_AS, megabytes << 20)
    )
    assert done.returncode in {0, 2}, done.stderr
    assert done.returncode == 0 or done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("count", [5, 6, 8, 12])
def test_too_few_descriptors_are_told(count: int, inputs: Path, tmp_path: Path) -> None:
    done = run("predict", PACKAGE, inputs, "-o", tmp_path / "o.npz", preexec_fn=limited(resource.RLIMIT_NOFILE, count))
    assert done.returncode in {0, 2}, done.stderr
    assert "Traceback (most recent call last):\n  File" not in done.stderr.partition("error: ")[0]


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_closed_standard_streams_change_no_result(closed: tuple[int, ...], inputs: Path, tmp_path: Path) -> None:
    """The files that a command opens would become its standard streams, and those of its children."""
    output = tmp_path / "o.npz"
    done = subprocess.run(
        [sys.executable, "-m", "edgeml", "predict", PACKAGE, inputs, "-o", output],
        preexec_fn=lambda: close_all(closed),
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    with np.load(output) as file, edgeml.load(PACKAGE) as session:
        np.testing.assert_array_equal(file["labels"], session.classify(np.load(inputs)["x"]))


def test_a_program_without_standard_streams_runs_isolated_sessions(inputs: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys, numpy, edgeml\n"
        "for number in 0, 1, 2: os.close(number)\n"
        "with edgeml.load(sys.argv[1], isolated=True) as session:\n"
        "    numpy.save(sys.argv[3], session.classify(numpy.load(sys.argv[2])['x']))\n"
    )
    output = tmp_path / "labels.npy"
    done = subprocess.run([sys.executable, "-c", code, PACKAGE, inputs, output], check=False, timeout=120)
    assert done.returncode == 0
    with edgeml.load(PACKAGE) as session:
        np.testing.assert_array_equal(np.load(output), session.classify(np.load(inputs)["x"]))


def test_a_child_that_cannot_start_is_not_blamed_on_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for executable in ("/bin/false", "/nowhere"):
        monkeypatch.setattr(sys, "executable", executable)
        with Worker(HELD, HeldSettings(), tmp_path) as worker, pytest.raises(ResourceError, match="start"):
            worker.call("add", 1, returns=int)
        with pytest.raises(ResourceError, match="start"):
            edgeml.open_package(PACKAGE).verify()


class Predicting:
    """A command at work, whose processes carry a marker."""

    def __init__(self, inputs: Path, output: Path) -> None:
        self.marker = f"ends-{os.getpid()}-{time.time_ns()}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgeml", "predict", PACKAGE, inputs, "-o", output],
            stderr=subprocess.PIPE, text=True, env=os.environ | {MARKER: self.marker},
        )  # fmt: skip

    def children(self) -> list[int]:
        return [pid for pid in marked(self.marker) if pid != self.process.pid]

    def errors(self) -> str:
        return self.process.communicate(timeout=120)[1]


def test_a_killed_child_is_not_blamed_on_the_package(inputs: Path, tmp_path: Path) -> None:
    command = Predicting(inputs, tmp_path / "o.npz")
    while command.process.poll() is None:
        for child in command.children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    errors = command.errors()
    assert command.process.returncode == 2
    assert "memory ran out" in errors
    assert "do not use" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("delay_ms", [60, 100, 150, 200, 300, 400, 500])
def test_ctrl_c_in_the_first_half_second(delay_ms: int, inputs: Path, tmp_path: Path) -> None:
    command = Predicting(inputs, tmp_path / "o.npz")
    time.sleep(delay_ms / 1000)
    command.process.send_signal(signal.SIGINT)
    errors = command.errors()
    if command.process.returncode == 0:  # on a fast machine
        assert (tmp_path / "o.npz").exists()
    else:
        # The second, or a fatal error of its own, while Python itself starts.
        assert command.process.returncode in {130, -signal.SIGINT} or "init_import_site" in errors
    if command.process.returncode == 130:
        assert errors.strip() == "Interrupted."
    assert eventually(lambda: not marked(command.marker))


def test_folders_of_killed_commands_are_removed_by_the_next(inputs: Path, tmp_path: Path) -> None:
    variables = os.environ | {"TMPDIR": str(tmp_path)}
    words: list[str | Path] = [
        sys.executable, "-m", "edgeml", "predict", PACKAGE, inputs, "-o", tmp_path / "o.npz",
    ]  # fmt: skip
    for _ in range(10):  # a busy machine may see the end of the command before its folder
        with subprocess.Popen(words, env=variables, stdout=subprocess.DEVNULL) as process:
            assert eventually(lambda: bool(list(tmp_path.glob("edgeml-*"))) or process.poll() is not None)
            process.kill()
        if list(tmp_path.glob("edgeml-*")):
            break
    assert list(tmp_path.glob("edgeml-*"))
    subprocess.run(words, env=variables, check=True, capture_output=True)
    assert [path.name for path in tmp_path.iterdir()] == ["o.npz"]


def test_names_that_are_not_utf_8(inputs: Path, tmp_path: Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    package, x, output = folder / f"{ODD}.edgeml", folder / f"{ODD}.npz", folder / f"{ODD} out.npz"
    package.write_bytes(PACKAGE.read_bytes())
    x.write_bytes(inputs.read_bytes())
    assert run("verify", package).returncode == 0
    done = run("predict", package, x, "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    with np.load(output) as file:
        assert len(file["labels"]) == 16
    model, rows = folder / f"{ODD}.skops", np.arange(40, dtype=np.float32).reshape(20, 2)
    skops.io.dump(LogisticRegression().fit(rows, np.arange(20) % 2), model)
    done = run("build", model, "-o", folder / "built.edgeml", "--name", "odd", "--recipe", "onnx-fp32")
    assert done.returncode == 0, done.stderr
    assert edgeml.open_package(folder / "built.edgeml").released == ("onnx-fp32",)
    commands: list[list[str | Path]] = [
        ["inspect", package], ["inspect", model], ["report", package, "-o", folder / "r.html"],
        ["bench", package, "--artifact", "onnx-fp32", "--seconds", "0.02", "--cold-starts", "0"],
        ["diff", package, package],
    ]  # fmt: skip
    for words in commands:
        done = run(*words)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["verify", ODD], ["inspect", ODD], ["build", f"{ODD}.skops"], ["train", ODD, "-o", "out"],
        ["build", "m.skops", "--author", ODD], ["build", "m.skops", "--name", ODD],
        ["build", "m.skops", "--labels", ODD],
        ["predict", PACKAGE, ODD, "-o", "o.npz"], ["predict", PACKAGE, "x.npz", "-o", "o.npz", "--artifact", ODD],
        ["bench", PACKAGE, "--device", ODD], ["explain", PACKAGE, ODD], [ODD],
    ],
)  # fmt: skip
def test_bad_words_that_are_not_utf_8(words: list[str | Path], tmp_path: Path) -> None:
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    done = run(*words, "--json", cwd=tmp_path)
    assert done.returncode == 2, done.stderr


def test_halves_of_characters_in_texts_are_refused(tmp_path: Path) -> None:
    """They are in no valid text, but in Python's and JSON's."""
    rows = np.arange(40, dtype=np.float32).reshape(20, 2)
    model = LogisticRegression().fit(rows, np.array(["a", "b\ud800"], object)[np.arange(20) % 2])
    with pytest.raises(EdgemlError, match="Unicode"):
        edgeml.build(model, recipes="onnx-fp32")
    package, file = edgeml.open_package(PACKAGE), tmp_path / "net.onnx"
    file.write_bytes(package.read(package.artifact("onnx-fp32").file))
    (tmp_path / "l.json").write_text('["0", "1", "2", "3", "4", "5", "6", "7", "8", "\\ud800"]')
    for options in (
        {"author": "\ud800"}, {"licence": "x\udfff"}, {"labels": [*map(str, range(9)), "\udc80"]},
        {"labels": tmp_path / "l.json"},
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"(author|licence|labels): .*(Unicode|\\ud800|\\udfff|\\udc80)"):
            edgeml.build(file, recipes="onnx-fp32", task="classification", **options)


@pytest.mark.parametrize("path", ["a\0b", "", "x" * 5000])
def test_paths_that_no_system_has(path: str) -> None:
    for use in (
        edgeml.open_package, edgeml.load, edgeml.build, lambda path: edgeml.train(path, "out"),
        lambda path: edgeml.open_package(PACKAGE).save(path),
        lambda path: edgeml.build("m.skops", calibration=path), lambda path: edgeml.build("m.skops", labels=path),
        lambda path: edgeml.report(PACKAGE, results=[path]),
    ):  # fmt: skip
        with pytest.raises(EdgemlError):
            use(path)
