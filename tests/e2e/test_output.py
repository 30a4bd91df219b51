"""Where commands write: results on standard output, the rest on standard error, and no file that must not be lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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


@pytest.mark.slow
def test_a_file_of_another_kind_is_overwritten_by_force_alone(run: Run, net_file: Path, tmp_path: Path) -> None:
    """A file with the name of a package, and one with the name of results."""
    package, results = tmp_path / "p.edgeml", tmp_path / "package.json"
    package.write_bytes(net_file.read_bytes())
    results.write_text('{"name": "my-app", "version": "1.0.0"}')
    before = {path: path.read_bytes() for path in (package, results)}
    build = ["build", net_file, "-o", package, "--recipe", "onnx-fp32"]
    bench = ["bench", PACKAGE, *QUICK, "-o", results]
    for arguments in (build, bench):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "exists, and was not written by this command." in done.stderr
        assert "--force" in done.stderr
    assert {path: path.read_bytes() for path in before} == before
    for arguments in (build, bench):
        assert run(*arguments, "--force").returncode == 0
        assert run(*arguments).returncode == 0  # what the command wrote is replaced
    assert all(path.read_bytes() != data for path, data in before.items())


@pytest.mark.parametrize("name", ["net.keras", "notes.md", "page.html", "x.npz", "x.csv"])
def test_a_report_or_predictions_never_replace_a_file_of_another_kind(name: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(PACKAGE.read_bytes() if name != "notes.md" else b"# My notes\n")
    before = file.read_bytes()
    format_ = ["--format", "html"] if name == "net.keras" else []
    predict = ["predict", PACKAGE, "inputs.npy"]
    arguments = predict if name.startswith("x") else ["report", PACKAGE, *format_]
    done = run(*arguments, "-o", file, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{name} exists, and was not written by this command." in done.stderr
    assert file.read_bytes() == before


@pytest.mark.slow
def test_reports_and_predictions_and_empty_files_are_replaced(run: Run, images: Path) -> None:
    names = ("r.html", "r.md", "r.png", "o.npz", "o.csv")
    for name in names:
        (images.parent / name).touch()
    for _ in range(2):
        for name in names:
            arguments = ["report", PACKAGE] if name.startswith("r") else ["predict", PACKAGE, "x.npy"]
            done = run(*arguments, "-o", name, cwd=images.parent)
            assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_device_takes_any_output_and_stays(run: Run, images: Path) -> None:
    fifo = images.with_name("fifo")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = run("predict", PACKAGE, "x.npy", "-o", "fifo", cwd=images.parent)
        assert done.returncode == 0, done.stderr
        assert fifo.is_fifo()
        assert os.read(reader, 100).startswith(b"labels,")
    finally:
        os.close(reader)
    done = run("predict", PACKAGE, "x.npy", "-o", "/dev/stdout", cwd=images.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("labels,")


def test_a_format_that_contradicts_the_name(run: Run, tmp_path: Path) -> None:
    done = run("report", PACKAGE, "-o", tmp_path / "r.png", "--format", "html")
    assert done.returncode == 2
    assert "the name is of the format png, expected html" in done.stderr


@pytest.mark.slow
def test_an_input_is_overwritten_by_force_alone(run: Run, images: Path) -> None:
    np.savez(images.with_name("x.npz"), x=np.load(images))
    arguments = ["predict", PACKAGE, "x.npz", "-o", "x.npz"]
    done = run(*arguments, cwd=images.parent)
    assert done.returncode == 2
    assert "is also an input" in done.stderr
    done = run(*arguments, "--force", cwd=images.parent)
    assert done.returncode == 0, done.stderr
    assert set(np.load(images.with_name("x.npz"))) == {"scores", "labels"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "-o", "."],
        ["train", "training.toml", "-o", "."],
        ["bench", PACKAGE, "--lab", "lab.toml", "-o", "."],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_folder_with_other_files_is_refused(arguments: list[object], run: Run, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text('[gone]\nhost = "no-such-host.invalid"\n')
    (tmp_path / "training.toml").write_text('[data]\nkind = "digits"\n[model]\nkind = "conv"\n')
    (tmp_path / "training.json").write_text('{"files": ["a.c"]}')
    before = sorted(tmp_path.iterdir())
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "has files, and was not written by this command." in done.stderr
    assert "--force" in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_of_failures_that_edgeml_did_not_write_loses_nothing(run: Run, net_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "p.edgeml.failed"
    folder.mkdir()
    (folder / "source.c").write_text("int main;")
    done = run("build", net_file, "-o", tmp_path / "p.edgeml")
    assert done.returncode == 2
    assert "p.edgeml.failed exists, and was not written by edgeml" in done.stderr
    assert (folder / "source.c").read_text() == "int main;"
    assert not (tmp_path / "p.edgeml").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "net.keras", "-o", "-"], "a package cannot be written to standard output"),
        (["train", "training.toml", "-o", "-"], "a folder cannot be written to standard output"),
        (["demo", "-o", "-"], "a folder cannot be written to standard output"),
        (
            ["build", "net.keras", "-o", "net.zip"],
            "net.zip: unsupported file type '.zip'; expected a name that ends in",
        ),
        (["bench", PACKAGE, "-o", "results.csv"], "results.csv: unsupported file type '.csv'; expected a name that"),
    ],
    ids=lambda value: " ".join(map(str, value[::2])) if isinstance(value, list) else "",
)
def test_outputs_that_a_command_cannot_write(arguments: list[object], words: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "training.toml").write_text('[data]\nkind = "digits"\n[model]\nkind = "conv"\n')
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["training.toml"]


@pytest.mark.slow
def test_results_on_standard_output_are_read_as_a_file(run: Run, tmp_path: Path) -> None:
    done = run("bench", PACKAGE, *QUICK, "-o", "-")
    assert done.returncode == 0, done.stderr
    assert "single-stream" in done.stderr  # the table
    (tmp_path / "results.json").write_text(done.stdout)
    assert run("report", PACKAGE, tmp_path / "results.json", "-o", tmp_path / "r.md").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "{package}"],
        ["inspect", "{package}", "--json"],
        ["explain", "{package}"],
        ["report", "{package}", "-o", "-", "--format", "markdown"],
        ["report", "{package}", "-o", "/dev/full", "--format", "markdown", "--force"],
        ["targets"],
    ],
)
def test_a_full_disk_behind_an_output_is_a_storage_error(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "edgeml", *(argument.format(package=PACKAGE) for argument in arguments)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "cannot be written: No space left on device." in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
