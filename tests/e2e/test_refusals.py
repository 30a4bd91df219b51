"""Refused recipes as people read them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeml
from edgeml.cli.refusals import logs_of_failures, refusal_lines, saved_logs
from edgeml.package.manifest import RefusalRecord

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TEXT, CALIBRATION = "A column is text.", "Calibration samples are missing."


def test_recipes_of_one_reason_share_a_line_and_the_deepest_reason_comes_first() -> None:
    refused = [
        RefusalRecord("tflite-int8", CALIBRATION, "give some."),
        RefusalRecord("tflite-fp32", TEXT, "use onnx-fp32."),
        RefusalRecord("onnx-int8", CALIBRATION, "give some."),
        RefusalRecord("onnx-fp16", TEXT, "use onnx-fp32."),
        RefusalRecord("onnx-dynamic", "No weights."),
    ]
    assert refusal_lines(refused, {}) == [
        f"tflite-fp32, onnx-fp16 are refused: {TEXT} Fix: use onnx-fp32.",
        "onnx-dynamic is refused: No weights.",
        f"tflite-int8, onnx-int8 are refused: {CALIBRATION} Fix: give some.",
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's, on numpy 2
def test_the_layer_that_a_converter_stops_at_is_named(run: Run, tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((8,))
    hidden = keras.ops.erfinv(0.5 * keras.layers.Dense(8, activation="tanh")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    package = edgeml.build(model, recipes=["tflite-fp32", "tflite-fp16", "onnx-fp32"])
    lines = refusal_lines(package.manifest.refused, logs_of_failures(package.failures))
    assert len(lines) == 2
    assert lines[0].startswith("tflite-fp32, tflite-fp16 are refused: ")
    assert lines[1].startswith("onnx-fp32 is refused: ")
    package.save(tmp_path / "p.edgeml")
    done = run("inspect", tmp_path / "p.edgeml")
    for line in lines:
        assert "Erfinv" in line
        assert "Layer: erfinv" in line
        assert line in (done.stdout + done.stderr).splitlines()
    assert set(saved_logs(tmp_path / "p.edgeml")) == {"tflite-fp32", "tflite-fp16", "onnx-fp32"}
