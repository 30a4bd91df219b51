"""Records under the logger edgeml."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import edgeml


@pytest.fixture(scope="module")
def model() -> LogisticRegression:
    x, y = load_iris(return_X_y=True)
    return LogisticRegression(max_iter=500).fit(x, y)


@pytest.mark.slow
def test_a_build_records_its_steps_and_verdicts(model: LogisticRegression, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="edgeml"):
        edgeml.build(model, name="iris", recipes=["onnx-fp32", "onnx-int8"], goal={"max_size_bytes": 10})
    assert "build, step 1 of 6: loading the model" in caplog.messages
    assert "build, step 3 of 6: converting onnx-fp32" in caplog.messages
    rejected, refused = caplog.messages[-2:]
    assert rejected.startswith("iris: onnx-fp32 is rejected: ")
    assert refused.startswith("iris: onnx-int8 is refused: ")
    assert {record.name for record in caplog.records} == {"edgeml"}


@pytest.mark.slow
def test_the_output_of_children_is_recorded_at_level_debug(
    pipeline_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="edgeml"):
        edgeml.build(pipeline_file, name="digits", recipes="tflite-fp32")
    names = [record.getMessage().partition(":")[0] for record in caplog.records if record.levelno == logging.DEBUG]
    assert names == ["conversion.log", "proof.log"]
