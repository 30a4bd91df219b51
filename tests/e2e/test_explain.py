"""`edgeml explain`: why verdicts are what they are, in words and as JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

import edgeml
from tests.support.linear_onnx import write_linear_onnx
from tests.support.make_format1 import PACKAGE

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def rejected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that gives other answers than the model that it is said to be made from, and a refusal."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("explain")
    weights = rng.normal(size=(4, 3))
    write_linear_onnx(folder / "net.onnx", weights + rng.normal(0, 0.2, weights.shape), softmax=True)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    logits = x @ weights
    edgeml.build(
        folder / "net.onnx",
        evaluation=(x, logits.argmax(axis=1)),
        labels=["up", "down \x1b[2J[bold]", "ahead"],
        reference=np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        recipes=["onnx-fp32", "tflite-int8"],
        goal=edgeml.Goal(max_drop=0.005),
    ).save(folder / "net.edgeml")
    return folder / "net.edgeml"


def test_words_and_figures(run: Run, rejected: Path) -> None:
    done = run("explain", rejected)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    bad, refused = done.stdout.split("\n\n")[1:]
    assert bad.startswith("onnx-fp32 is rejected.\n  because     SQNR of ")
    evaluation = edgeml.open_package(rejected).artifact("onnx-fp32").evaluation
    assert evaluation.drop is not None
    assert evaluation.mcnemar is not None
    assert evaluation.fidelity.flips
    assert f"a drop of {100 * evaluation.drop.value:+.2f}%, 95% interval" in bad
    assert f"right on {evaluation.mcnemar.lost}, the artifact alone on 0: significant (p = " in bad
    assert f"flips       {evaluation.fidelity.flips} of 300" in bad
    assert "-> " in bad
    assert "(truly " in bad
    assert "lost recall: " in bad
    assert "(ECE)" in bad
    assert "SQNR        answers: " in bad
    assert refused.startswith("tflite-int8 is refused.\n  because")
    assert "\x1b" not in done.stdout
    assert r"down \x1b[2J[bold]" in bad


def test_inspect_says_what_is_significant(run: Run, rejected: Path) -> None:
    done = run("inspect", rejected)
    shown = " ".join((done.stdout + done.stderr).split())
    assert "which is significant (McNemar's exact test, p = " in shown
    assert "Calibration error (ECE): " in shown


def test_one_artifact_or_refusal(run: Run, rejected: Path) -> None:
    done = run("explain", rejected, "--artifact", "onnx-fp32")
    assert "onnx-fp32 is rejected" in done.stdout
    assert "tflite-int8" not in done.stdout
    done = run("explain", rejected, "--artifact", "tflite-int8")
    assert done.returncode == 0
    assert "tflite-int8 is refused." in done.stdout
    done = run("explain", rejected, "--artifact", "tflite-int4")
    assert done.returncode == 2
    assert "does not contain an artifact 'tflite-int4'" in done.stderr


def test_json(run: Run, rejected: Path) -> None:
    done = run("explain", rejected, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    (one,) = found["artifacts"]
    assert (one["recipe"], one["max_drop"]) == ("onnx-fp32", 0.005)
    assert [refused["recipe"] for refused in found["refused"]] == ["tflite-int8"]
    assert sum(count for *_, count in one["evidence"]["confusion"]["cells"]) == 300
    assert len(one["evidence"]["calibration"]["bins"]) == 15
    lost, gained = one["evaluation"]["mcnemar"]["lost"], one["evaluation"]["mcnemar"]["gained"]
    assert one["evaluation"]["mcnemar"]["p_value"] == pytest.approx(binomtest(lost, lost + gained).pvalue)


def test_a_package_of_before(run: Run) -> None:
    done = run("explain", PACKAGE)
    assert done.returncode == 0, done.stderr
    assert "tflite-int8 is released" in done.stdout
    assert "a drop of" in done.stdout
    assert "McNemar" not in done.stdout
    assert "SQNR        outputs: " in done.stdout


def test_a_file_that_is_no_package(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.edgeml").write_bytes(b"x" * 100)
    assert run("explain", tmp_path / "p.edgeml").returncode == 3
    assert run("explain", tmp_path / "absent.edgeml").returncode == 2
