"""A tool that fails at length, or dies, costs its recipe and nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import edgeml
from edgeml.core.errors import ConversionError
from edgeml.core.system.worker import Worker

FAILS = "onnx-fp32"


class FailingWorker(Worker):
    """Fails at one recipe, in many words that name the machine's folders."""

    def call(self, method: str, *arguments: object, returns: Any, timeout_s: float | None = None) -> Any:
        if method == "convert" and arguments[0] == FAILS:
            raise ConversionError(f"error in {self._folder}/model.onnx: " + "no such thing, " * 5000, log="noise")
        return super().call(method, *arguments, returns=returns, timeout_s=timeout_s)


@pytest.mark.slow
def test_a_tool_that_says_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("edgeml.pipeline.build"), "Worker", FailingWorker)
    x, y = load_iris(return_X_y=True)
    package = edgeml.build(
        LogisticRegression(max_iter=500).fit(x, y), evaluation=(x, y), recipes=[FAILS, "tflite-fp32"]
    )
    assert package.released == ("tflite-fp32",)
    (refused,) = package.manifest.refused
    assert refused.recipe == FAILS
    assert "no such thing" in refused.reason
    assert "edgeml-build-" not in refused.reason
    assert str(tmp_path.parents[2]) not in refused.reason
    path = tmp_path / "x.edgeml"
    package.save(path)
    edgeml.open_package(path).verify()
    log = (tmp_path / "x.edgeml.failed" / FAILS / "log.txt").read_text()
    assert "noise" in log
    assert len(log) > 50_000
