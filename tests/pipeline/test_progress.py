"""Progress of long work: a bar in a terminal or notebook, nothing elsewhere, or the caller's function."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import edgeml
from edgeml.pipeline import Step, show_progress
from tests.support.processes import repository

WORK = """
from edgeml.pipeline import Step, show_progress
with show_progress({progress}) as show:
    for i in range(3):
        show(Step(i, 3, f"step [bold]number[/bold] {{i}}\\u202e"))
"""


def in_terminal(code: str) -> tuple[str, str]:
    """What a program writes to stderr, where that is a terminal, and to stdout."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=repository(), stdout=subprocess.PIPE, stderr=follower, env=environment
    ) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            seen += part
        out = process.stdout.read() if process.stdout is not None else b""
    os.close(leader)
    assert process.returncode == 0, seen
    return seen.decode(), out.decode()


def test_a_terminal_gets_a_bar_that_shows_names_as_text() -> None:
    shown, out = in_terminal(WORK.format(progress="None"))
    assert "step [bold]number[/bold] 2\\u202e" in shown
    assert "2/3" in shown
    assert out == ""


def test_false_silences_the_bar() -> None:
    assert in_terminal(WORK.format(progress="False")) == ("", "")


@pytest.mark.parametrize("progress", ["None", "True"])
def test_nothing_is_shown_where_there_is_no_terminal(progress: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORK.format(progress=progress)],
        cwd=repository(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")


def test_a_function_gets_each_step() -> None:
    steps: list[Step] = []
    with show_progress(steps.append) as show:
        show(Step(0, 1, "work"))
    assert steps == [Step(0, 1, "work")]


class Notebook:
    """As much of IPython as a notebook's kernel has."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, html: Any, *, display_id: bool) -> Any:
        assert display_id
        self.shown.append(html)
        return types.SimpleNamespace(update=self.shown.append)


def test_a_notebook_gets_a_bar_of_html(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    notebook = Notebook()
    ipython: Any = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    display: Any = types.ModuleType("IPython.display")
    display.display, display.HTML = notebook.display, str
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    with show_progress(None) as show:
        show(Step(1, 4, "<script>alert(1)</script>"))
    assert notebook.shown == [
        "starting",
        '<progress value="1" max="4"></progress> 1/4 &lt;script&gt;alert(1)&lt;/script&gt;',
        "",
    ]
    with show_progress(False):
        pass
    assert len(notebook.shown) == 3
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_build_shows_its_steps_in_a_terminal(pipeline_file: Path) -> None:
    code = f"import edgeml; edgeml.build({str(pipeline_file)!r}, recipes='onnx-fp32'{{options}})"
    shown, out = in_terminal(code.format(options=""))
    for text in ("loading the model", "converting onnx-fp32", "proving onnx-fp32"):
        assert text in shown
    assert out == ""
    assert in_terminal(code.format(options=", progress=False")) == ("", "")


@pytest.mark.slow
def test_a_build_prints_nothing_and_reports_its_steps(pipeline_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps: list[Step] = []
    edgeml.build(pipeline_file, recipes="onnx-fp32", progress=steps.append)
    assert [step.text.split()[0] for step in steps] == ["loading", "running", "converting", "proving"]
    assert {step.total for step in steps} == {4}
    assert capfd.readouterr() == ("", "")
