"""Accelerators are tried by a tiny model before they are called available."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import pytest

from edgeml.core.registry import availability
from edgeml.core.registry.availability import unavailable
from edgeml.core.registry.engines import engines
from edgeml.core.registry.tables import Engine
from tests.support.plug_ins import install_plug_in
from tests.support.trial_engines import TRIALS


def engine(name: str) -> Engine:
    return Engine("onnx", "trial", f"tests.support.trial_engines:{name}", "onnx")


@pytest.fixture(autouse=True)
def trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that tells how often a model was opened. The cache is the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(TRIALS, str(tmp_path / "trials"))
    (tmp_path / "trials").touch()
    return tmp_path / "trials"


def count(trials: Path) -> int:
    return len(trials.read_text(encoding="utf-8").splitlines())


def test_what_runs_is_available_and_is_tried_once(trials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        assert unavailable(engine("Runs")) is None
    assert count(trials) == 1
    monkeypatch.setenv("VK_ICD_FILENAMES", "/another/driver.json")
    assert unavailable(engine("Runs")) is None
    assert count(trials) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Wrong", r"does not run a tiny model with onnx: expected the output .*, got"),
        ("LeavesItToTheCpu", r"these would run elsewhere: MatMul ×1 \(CPU\)"),
        ("Raises", r"does not run a tiny model with onnx: no device is good enough"),
        ("Aborts", r"died of SIGABRT"),
    ],
)
def test_what_fails_says_why_and_is_tried_once(name: str, words: str, trials: Path) -> None:
    for _ in range(2):
        problem = unavailable(engine(name))
        assert problem is not None
        with pytest.raises(type(problem), match=words):
            raise problem
        assert problem.fix
    assert count(trials) == 1


@pytest.mark.slow
def test_what_hangs_is_given_up_and_tried_again(trials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_TIMEOUT_S", 2.0)
    for _ in range(2):
        problem = unavailable(engine("Hangs"))
        assert problem is not None
        assert "gave no answer within 2 s" in problem.message
    assert count(trials) == 2


def test_what_is_killed_is_tried_again(trials: Path) -> None:
    for _ in range(2):
        problem = unavailable(engine("IsKilled"))
        assert problem is not None
        assert "died of SIGKILL" in problem.message
    assert count(trials) == 2


def test_a_failure_is_tried_again_after_some_minutes(trials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def messages(now_s: float) -> str:
        monkeypatch.setattr(time, "time", lambda: now_s)
        problem = unavailable(engine("Raises"))
        assert problem is not None
        return problem.message

    assert messages(1e9).endswith("no device is good enough.")
    assert messages(1e9 + 100).endswith("(tested 100 s ago; the next test is possible in 200 s).")
    assert count(trials) == 1
    assert messages(1e9 + 301).endswith("no device is good enough.")
    assert count(trials) == 2
    assert messages(1e9).endswith("no device is good enough.")  # the clock was set back
    assert count(trials) == 3


def test_success_is_kept_for_years(trials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for now_s in (1e9, 2e9):
        monkeypatch.setattr(time, "time", lambda now_s=now_s: now_s)
        assert unavailable(engine("Runs")) is None
    assert count(trials) == 1


def test_another_version_of_a_plug_in_is_tried(trials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path / "site")
    plug_in = Engine("onnx", "trial", "tests.support.trial_engines:Raises", "tests", "trial-engine")
    for version, expected in (("1.0", 1), ("1.0", 1), ("1.1", 2), ("1.1", 2)):
        install_plug_in(tmp_path / "site", "trial-engine", version=version)
        assert unavailable(plug_in) is not None
        assert count(trials) == expected


@pytest.mark.usefixtures("cold_children")
def test_a_machine_without_resources_gets_a_reason_that_is_not_kept(
    trials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkdtemp", fail)
        problem = unavailable(engine("Runs"))
    assert problem is not None
    assert "No usable temporary directory found" in problem.message
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", None)
        problem = unavailable(engine("Runs"))
    assert problem is not None
    assert "sys.executable is not set" in problem.message
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        problem = unavailable(engine("Runs"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert problem is not None
    assert "Too many open files" in problem.message
    assert count(trials) == 0
    assert not Path(os.environ["XDG_CACHE_HOME"]).exists()


def test_a_relative_cache_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert unavailable(engine("Runs")) is None
    assert not list((tmp_path / "work").iterdir())
    assert (tmp_path / "home/.cache/edgeml/targets.json").is_file()


@pytest.mark.parametrize("kept", [b"", b"{", b"[1]", b'{"sha256:0": {"reason": 7}}', b'{"a": {"reason": "\xff"}}'])
def test_a_cache_that_cannot_be_read_is_made_anew(kept: bytes, trials: Path) -> None:
    file = Path(os.environ["XDG_CACHE_HOME"]) / "edgeml" / "targets.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(kept)
    for _ in range(2):
        assert unavailable(engine("Runs")) is None
    assert count(trials) == 1


def test_a_cache_that_cannot_be_written_does_not_matter(trials: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder", encoding="utf-8")
    for _ in range(2):
        assert unavailable(engine("Runs")) is None
    assert count(trials) == 2


def test_the_cpu_is_not_tried() -> None:
    for ours in engines():
        if ours.target == "cpu" and ours.module in {"ai_edge_litert", "onnxruntime"}:
            assert unavailable(ours) is None
    assert not (Path(os.environ["XDG_CACHE_HOME"])).exists()


def test_a_plug_in_that_fails_when_it_is_asked_is_told() -> None:
    for name, words in (
        ("AsksBadly", "KeyError"),
        ("NoAdapter", "lacks name, targets, precisions, obstacle, tiny_model"),
        ("IsNamedByANumber", "has name=7, expected text"),
        ("HasNoPrecisions", "has precisions=None, expected a tuple of text"),
        ("ReturnsText", "obstacle() returned 'no device', expected None or an EdgemlError"),
        ("ReturnsTextForItsModel", "tiny_model() returned 'tiny', expected None or a TinyModel"),
        ("Exits", "SystemExit: 5"),
        ("ExitsForItsModel", "SystemExit: 5"),
    ):
        plug_in = Engine("onnx", "trial", f"tests.support.trial_engines:{name}", "onnx", "trial-engine")
        problem = unavailable(plug_in)
        assert problem is not None
        assert words in problem.message
