"""Conventions of the command line: errors as JSON, logs, help, mistyped and renamed options, goals."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeml
from tests.support.fork_server import ForkServer
from tests.support.processes import repository

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PACKAGE = repository() / "tests" / "data" / "format1.edgeml"
COMMANDS = (
    "demo", "train", "build", "inspect", "verify", "predict", "diff", "explain", "bench", "report", "targets", "help",
)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "words"),
    [
        (["inspect", "absent.edgeml"], 2, "InputError", "absent.edgeml"),
        (["verify", "x.edgeml"], 3, "PackageError", "x.edgeml"),
        (["verify", PACKAGE, "--digest", f"sha256:{0:064}"], 3, "VerificationError", "digest"),
        (["predict", PACKAGE, "x.edgeml", "-o", "o.txt"], 2, "InputError", ".txt"),
        (["explain", PACKAGE, "--artifact", "tflite-int4"], 2, "InputError", "tflite-int4"),
        (["build", "x.pkl", "-o", "p.edgeml"], 1, "UnsupportedModelError", "pickle"),
        (["inspect"], 2, "UsageError", "FILE"),
        (["inspect", PACKAGE, "--jso"], 2, "UsageError", "--json"),
        (["inspct", PACKAGE], 2, "UsageError", "Did you mean inspect?"),
    ],
)
def test_errors_are_json_on_stdout_with_the_same_exit_code(
    arguments: list[object], code: int, kind: str, words: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "x.edgeml").write_bytes(b"x" * 100)
    (tmp_path / "x.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    done, plain = run(*arguments, "--json", cwd=tmp_path), run(*arguments, cwd=tmp_path)
    assert done.returncode == plain.returncode == code
    assert plain.stdout == ""
    error = json.loads(done.stdout)["error"]
    assert list(json.loads(done.stdout)) == ["error"]
    assert set(error) == {"kind", "message", "fix", "log", "exit_code"}
    assert (error["kind"], error["exit_code"]) == (kind, code)
    assert words in error["message"]
    assert error["message"].splitlines()[0] in done.stderr  # people see it too
    if kind == "UsageError":
        assert error["fix"].startswith("see edgeml")


def test_a_fix_is_a_field_of_its_own(run: Run, tmp_path: Path) -> None:
    done = run("report", PACKAGE, "-o", tmp_path / "x.pdf", "--json")
    error = json.loads(done.stdout)["error"]
    assert error["fix"] == "give another --output."
    assert f"fix: {error['fix']}" in done.stderr.splitlines()


@pytest.mark.parametrize(
    ("problem", "code", "kind"),
    [("KeyboardInterrupt()", 130, "Interrupted"), ("ValueError('odd')", 70, "InternalError")],
)
def test_an_interrupt_and_a_bug_are_json_too(problem: str, code: int, kind: str, fork_server: ForkServer) -> None:
    script = (
        "import sys; from edgeml.cli import inspect, main\n"
        f"def fail(**_): raise {problem}\n"
        "inspect.command.callback = fail\n"
        "main()"
    )
    done = fork_server.python("-c", script, "inspect", PACKAGE, "--json")
    assert done.returncode == code
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["exit_code"]) == (kind, code)
    assert ("ValueError: odd" in error["log"]) == (kind == "InternalError") == ("This is a bug" in done.stderr)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("biuld", "Did you mean build?"),
        ("convert", "Did you mean build?"),
        ("benchmark", "Did you mean bench?"),
        ("zzz", "The commands are demo, train, build"),
    ],
)
def test_a_mistyped_command(word: str, hint: str, run: Run) -> None:
    for arguments in ([word, "x"], ["help", word]):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"No such command '{word}'. {hint}" in done.stderr


def test_mistyped_words_cannot_steer_the_terminal(run: Run) -> None:
    for arguments in (
        ["bad\x1b[31m"],
        ["inspect", PACKAGE, "--x\x1b[31m"],
        ["build", "x", "-o", "p", "--task", "\x1b["],
    ):
        done = run(*arguments)
        assert done.returncode == 2
        assert "\x1b" not in done.stderr


def test_a_mistyped_option(run: Run) -> None:
    done = run("predict", PACKAGE, "x.npy", "-o", "o.npz", "--artefact", "onnx-fp32")
    assert done.returncode == 2
    assert "--artefact" in done.stderr
    assert "Did you mean" in done.stderr
    assert "--artifact" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_the_shared_options(command: str, run: Run) -> None:
    done, same = run("help", command), run(command, "--help")
    assert done.returncode == 0
    assert done.stdout == same.stdout
    assert done.stdout.startswith(f"Usage: edgeml {command} ")
    for option in ("--verbose", "--quiet", "--log-file"):
        assert option in done.stdout


def test_help_alone_lists_the_commands(run: Run) -> None:
    done = run("help")
    assert done.stdout == run("--help").stdout
    assert all(re.search(rf"^  {command} ", done.stdout, re.MULTILINE) for command in COMMANDS)


@pytest.mark.slow
def test_verbose_and_the_log_file_work_before_and_after_the_command(run: Run, tmp_path: Path) -> None:
    log, report = tmp_path / "log.txt", ["report", PACKAGE, "-o", tmp_path / "r.md"]
    quiet = run(*report)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    before, after = run("-v", "--log-file", log, *report), run(*report, "--verbose", "--log-file", log)
    assert before.stdout == after.stdout == quiet.stdout
    assert run(*report, "-vv").stderr.startswith(f"edgeml {edgeml.__version__}, Python ")
    assert before.stderr == after.stderr
    assert f"wrote {tmp_path / 'r.md'}, " in after.stderr
    assert run(*report, "--log-file", log).stderr == ""
    lines = [line for line in log.read_text().splitlines() if "wrote" in line]
    assert len(lines) == 3
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO edgeml", line) for line in lines)
    assert log.read_text().count(f": edgeml {edgeml.__version__}, Python ") == 3
    failed = run("inspect", tmp_path / "absent.edgeml", "--log-file", log)
    assert failed.returncode == 2
    assert "absent.edgeml" in log.read_text()


def test_a_log_file_is_never_another_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Notes\n")
    done = run("inspect", PACKAGE, "--log-file", tmp_path / "notes.md")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not a log of edgeml" in done.stderr
    assert (tmp_path / "notes.md").read_text() == "# Notes\n"
    done = run("inspect", PACKAGE, "--log-file", tmp_path / "none" / "log")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of two columns, and a table with their truth."""
    import pandas as pd
    import skops.io
    from sklearn.linear_model import LinearRegression

    folder = tmp_path_factory.mktemp("table")
    frame = pd.DataFrame(np.random.default_rng(0).random((60, 2)), columns=["area", "rooms"])
    price = 3 * frame["area"] + frame["rooms"]
    skops.io.dump(LinearRegression().fit(frame, price), folder / "model.skops")
    frame.assign(price=price).to_csv(folder / "held-out.csv", index=False)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("version", [["--package-version", "2.1.0"], ["--version", "2.1.0"], ["--version=2.1.0"]])
@pytest.mark.parametrize("truth", [["--truth", "price"], ["--target", "price"], ["--target=price"]])
def test_former_names_of_options_work_with_a_warning(
    truth: list[str], version: list[str], run: Run, table: Path, tmp_path: Path
) -> None:
    done = run(
        "build", table / "model.skops", "-o", tmp_path / "p.edgeml", "--evaluation", table / "held-out.csv", *truth,
        *version, "--recipe", "onnx-fp32",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    package = edgeml.open_package(tmp_path / "p.edgeml")
    assert package.version == "2.1.0"
    assert package.manifest.data.labelled
    warnings = []
    if truth[0].startswith("--target"):
        warnings.append("warning: --target is now called --truth.")
    if version[0].startswith("--version"):
        warnings.append("warning: --version is now called --package-version.")
    assert done.stderr.splitlines() == warnings


def test_quiet_silences_warnings_and_not_errors(run: Run, table: Path, tmp_path: Path) -> None:
    arguments = [
        "build", table / "model.skops", "-o", tmp_path / "p.edgeml", "--evaluation", table / "held-out.csv",
        "--target", "price", "--recipe", "onnx-fp32",
    ]  # fmt: skip
    assert "warning: --target" in run(*arguments).stderr
    assert "warning" not in run("--quiet", *arguments).stderr
    assert "error: " in run("--quiet", "build", table / "absent.skops", "-o", tmp_path / "q.edgeml").stderr


@pytest.mark.slow
@pytest.mark.parametrize(("goal", "share"), [("1%", 0.01), ("0.01", 0.01), ("0.5%", 0.005), ("49.9 %", 0.499)])
def test_a_goal_is_a_fraction_or_a_percentage(goal: str, share: float, run: Run, table: Path, tmp_path: Path) -> None:
    done = run(
        "build", table / "model.skops", "-o", tmp_path / "p.edgeml", "--evaluation", table / "held-out.csv",
        "--truth", "price", "--recipe", "onnx-fp32", "--goal", f"max_drop={goal}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert edgeml.open_package(tmp_path / "p.edgeml").manifest.goal.max_drop == share


@pytest.mark.parametrize("goal", ["1", "0.5", "50%", "100%", "1e9"])
def test_a_drop_that_cannot_be_meant_is_refused(goal: str, run: Run, table: Path, tmp_path: Path) -> None:
    done = run("build", table / "model.skops", "-o", tmp_path / "p.edgeml", "--goal", f"max_drop={goal}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "max_drop: got" in done.stderr
    assert "fix: give a fraction or a percentage: 1% or 0.01." in done.stderr


@pytest.mark.parametrize("goal", ["much%", "%", "1%%"])
def test_a_percentage_that_is_not_a_number(goal: str, run: Run, table: Path, tmp_path: Path) -> None:
    done = run("build", table / "model.skops", "-o", tmp_path / "p.edgeml", "--goal", f"max_drop={goal}")
    assert done.returncode == 2
    assert "expected a fraction or a percentage" in done.stderr


def test_completion_of_the_shell(edgeml_command: Path, tmp_path: Path) -> None:
    def complete(words: str, position: int) -> list[str]:
        variables = {"_EDGEML_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        done = subprocess.run(
            [edgeml_command], env=os.environ | variables, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert complete("edgeml b", 1) == ["build", "bench"]
    assert "--calibration" in complete("edgeml build --cal", 2)
    script = subprocess.run(
        [edgeml_command], env=os.environ | {"_EDGEML_COMPLETE": "bash_source"}, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    assert "complete -o nosort" in script


def test_an_error_comes_without_a_warning_about_former_names(run: Run, tmp_path: Path) -> None:
    done = run("build", tmp_path / "none.skops", "-o", tmp_path / "p.edgeml", "--version", "1.0.0")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
