"""Where commands write: results on standard output, the rest on standard error, and no file that must not be lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.processes import repository

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PACKAGE = repository() / "tests" / "data" / "format1.edgeml"
QUICK = ("--seconds", "0.05", "--cold-starts", "0", "--artifact", "onnx-fp32", "--scenario", "single-stream")


@pytest.fixture
def images(digits: object, tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", getattr(digits, "evaluation")[:3])  # noqa: B009  # object to the fixture
    return tmp_path / "x.npy"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", PACKAGE], "digits-format1 1.0.0, format 1"),
        (["explain", PACKAGE], "tflite-int8 is released."),
        (["diff", PACKAGE, PACKAGE], "The two files are the same"),
        (["verify", PACKAGE], "golden vectors ran here, and hold."),
        (["bench", PACKAGE, *QUICK], "single-stream"),
        (["report", PACKAGE, "-o", "report.md"], "report.md: markdown"),
        (["predict", PACKAGE, "x.npy", "-o", "out.npz"], "3 samples by"),
        (["targets"], "cpu"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_results_go_to_stdout_without_colors(arguments: list[object], words: str, run: Run, images: Path) -> None:
    done = run(*arguments, cwd=images.parent)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_a_build_prints_its_table_on_stdout_and_with_json_on_stderr(run: Run, net_file: Path, tmp_path: Path) -> None:
    done = run("build", net_file, "-o", tmp_path / "p.edgeml", "--recipe", "onnx-fp32")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 recipes released" in done.stdout
    assert "onnx-fp32" in done.stdout.splitlines()[1]
    done = run("build", net_file, "-o", tmp_path / "p.edgeml", "--recipe", "onnx-fp32", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["name"] == "digits-net"
    assert "1 of 1 recipes released" in done.stderr


@pytest.mark.slow
def test_a_dash_is_standard_output(run: Run, images: Path) -> None:
    done = run("report", PACKAGE, "-o", "-", "--format", "markdown", cwd=images.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("## digits-format1 1.0.0\n")
    assert done.stdout.endswith("._\n")
    assert run("report", PACKAGE, "-o", "-", cwd=images.parent).stdout.startswith("<!doctype html>")
    done = run("predict", PACKAGE, "x.npy", "-o", "-", cwd=images.parent)
    assert (done.returncode, done.stderr) == (0, "")
    run("predict", PACKAGE, "x.npy", "-o", "out.csv", cwd=images.parent)
    assert done.stdout == (images.parent / "out.csv").read_text()
    done = run("report", PACKAGE, "-o", "-", "--json", cwd=images.parent)
    assert done.returncode == 2
    assert "both print to standard output" in done.stderr
    assert {path.name for path in images.parent.iterdir()} == {"x.npy", "out.csv"}


def test_a_reader_that_goes_away_ends_a_command_quietly(edgeml_command: Path) -> None:
    process = subprocess.Popen([edgeml_command, "explain", PACKAGE], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == b""


def test_characters_that_the_locale_lacks_are_escaped(edgeml_command: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([edgeml_command, "inspect", PACKAGE], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\\u2026" in done.stdout  # an ellipsis behind the digest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", PACKAGE, "-o", "x.pdf"], "x.pdf: unsupported file type '.pdf'; expected a name that ends in .html"),
        (["report", PACKAGE, "-o", "x"], "x: the file type is missing; expected a name that ends in .html, .htm, .md"),
        (["predict", PACKAGE, "x.npy", "-o", "o.txt"], "o.txt: unsupported file type '.txt'; expected"),
    ],
    ids=["report", "report without", "predict"],
)
def test_unknown_file_types_are_refused_with_the_known_ones(
    arguments: list[object], words: str, run: Run, tmp_path: Path
) -> None:
    shutil.copy(PACKAGE, tmp_path)
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {PACKAGE.name}
