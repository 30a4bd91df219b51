"""Words of a command line that are valid in form: extreme numbers, impossible paths, inputs of nothing."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skops.io
from PIL import Image
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import edgeml
from edgeml.core.errors import InputError
from edgeml.preprocessing import Table
from edgeml.preprocessing.image_files import read_image
from tests.support.processes import repository

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PACKAGE = repository() / "tests/data/format1.edgeml"
BENCH = ["bench", PACKAGE, "--artifact", "onnx-fp32", "--cold-starts", "0", "--scenario", "server", "--seconds", "0.02"]
LONG = "a" * 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    x, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(x, y)
    skops.io.dump(model, folder / "m.skops")
    columns = Table(columns=("a", "b", "c", "d"))
    edgeml.build(model, evaluation=x, recipes="onnx-fp32", preprocessing=columns).save(folder / "iris.edgeml")
    np.savez(folder / "x.npz", x=edgeml.open_package(PACKAGE).golden_inputs()["image"])
    np.save(folder / "none.npy", np.zeros((0, 4), np.float32))
    for name in ("loop.npz", "loop.edgeml", "loop.json", "loop.html"):
        (folder / name).symlink_to(folder / name)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["predict", PACKAGE, "x.npz", "-o", "o.npz", "--threads", "1000000000"],
        ["predict", PACKAGE, "x.npz", "-o", "o.npz", "--threads", str(2**70)],
        ["predict", PACKAGE, "x.npz", "-o", "o.npz", "--memory", "nan"],
        ["predict", PACKAGE, "x.npz", "-o", "o.npz", "--timeout", "nan"],
        ["predict", PACKAGE, "x.npz", "-o", ""],
        ["predict", PACKAGE, "x.npz", "-o", "loop.npz"],
        ["predict", PACKAGE, "x.npz", "-o", f"{LONG}.npz"],
        ["predict", PACKAGE, f"{LONG}.npz", "-o", "o.npz"],
        ["report", PACKAGE, "-o", "loop.html"],
        ["report", PACKAGE, "-o", f"{LONG}.html"],
        ["build", "m.skops", "-o", "loop.edgeml", "--recipe", "onnx-fp32"],
        ["build", "m.skops", "-o", f"{LONG}.edgeml", "--recipe", "onnx-fp32"],
        ["build", "m.skops", "-o", "p.edgeml", "--batch", str(2**70)],
        ["train", "t.toml", "-o", LONG],
        [*BENCH, "-o", f"{LONG}.json"],
        [*BENCH, "-o", "loop.json"],
        [*BENCH, "--seed", str(2**80)],
        [*BENCH, "--latency-bound", "1e308"],
        [*BENCH[:-1], "nan"],
    ],
)  # fmt: skip
def test_are_refused_as_bad_usage(words: list[str | Path], run: Run, folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = run(*words, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "rror: " in done.stderr
    assert sorted(folder.iterdir()) == before


def test_limits_that_no_machine_reaches_are_none(run: Run, folder: Path, tmp_path: Path) -> None:
    for memory in ("1e308", str(2**53 + 1)):
        limits = ["--memory", memory, "--timeout", "1e308"]
        done = run("predict", PACKAGE, folder / "x.npz", "-o", tmp_path / "o.npz", *limits)
        assert done.returncode == 0, done.stderr
        assert run("verify", PACKAGE, "--memory", memory).returncode == 0
    words = ["build", folder / "m.skops", "-o", tmp_path / "p.edgeml", "--recipe", "onnx-fp32", "--memory", "1e308"]
    assert run(*words).returncode == 0
    with edgeml.load(PACKAGE, isolated=True, memory_mb=1e308, timeout_s=1e308) as session:
        assert len(session.classify(np.load(folder / "x.npz")["x"])) == 16


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("threads", [1025, 2**70, 0, -(2**70)])
def test_threads_beyond_all_machines(threads: int, isolated: bool) -> None:
    with pytest.raises(InputError, match="expected a whole number from 1 to 1024"):
        edgeml.open_package(PACKAGE).session("onnx-fp32", isolated=isolated, threads=threads)


def test_no_samples_give_no_lines(run: Run, folder: Path, tmp_path: Path) -> None:
    done = run("predict", folder / "iris.edgeml", folder / "none.npy", "-o", tmp_path / "o.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o.csv").read_text() == "labels,0,1,2\n"


def test_a_terminal_gets_no_control_characters_of_a_table(folder: Path, tmp_path: Path) -> None:
    text = "a,b,c,d,name\n5,3,1,0.2,\x1b[31mred\u202e\n"
    (tmp_path / "x.csv").write_text(text)
    words: list[str | Path] = [
        sys.executable, "-m", "edgeml", "predict", folder / "iris.edgeml", tmp_path / "x.csv", "-o", "-",
        "--id", "name",
    ]  # fmt: skip
    parent, child = pty.openpty()
    with subprocess.Popen(words, stdout=child, stderr=subprocess.DEVNULL) as process:
        os.close(child)
        shown = b""
        while chunk := read(parent):
            shown += chunk
    os.close(parent)
    assert process.returncode == 0
    assert b"\\x1b[31mred\\u202e" in shown
    assert b"\x1b[31m" not in shown
    piped = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    assert "\x1b[31mred\u202e" in piped  # a file keeps the text as it is


def read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other end is closed
        return b""


def test_images_that_pillow_does_not_survive(tmp_path: Path) -> None:
    """A palette image without its palette raises an AssertionError in Pillow."""
    path = tmp_path / "x.png"
    Image.fromarray(np.zeros((4, 4), np.uint8), "P").save(path)
    data = path.read_bytes()
    begin = data.index(b"PLTE") - 4
    end = begin + 12 + int.from_bytes(data[begin : begin + 4], "big")
    path.write_bytes(data[:begin] + data[end:])
    with pytest.raises(InputError, match=r"x\.png"):
        read_image(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(InputError, match="it is another format, or damaged") as caught:
        read_image(path)
    assert "BytesIO" not in caught.value.message
