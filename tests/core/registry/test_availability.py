"""Accelerators are tried by a tiny model before they are called available."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeml.core.registry import availability
from edgeml.core.registry.availability import unavailable
from edgeml.core.registry.engines import engines
from edgeml.core.registry.tables import Engine
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
def test_what_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_TIMEOUT_S", 2.0)
    problem = unavailable(engine("Hangs"))
    assert problem is not None
    assert "gave no answer within 2 s" in problem.message


@pytest.mark.parametrize("kept", [b"", b"{", b"[1]", b'{"sha256:0": {"reason": 7}}'])
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
    ):
        plug_in = Engine("onnx", "trial", f"tests.support.trial_engines:{name}", "onnx", "trial-engine")
        problem = unavailable(plug_in)
        assert problem is not None
        assert words in problem.message
