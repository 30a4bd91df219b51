"""Keras to TFLite, against Keras's own answers through the raw interpreter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgeml.core.artifact import Artifact
from edgeml.core.system.worker import Worker
from edgeml.demo.digits import Digits
from tests.support.keras_cases import TFLITE, Converted, samples

Convertible = Callable[[str], Converted]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", TFLITE)
def test_five_inputs_and_two_outputs_in_every_recipe(many: Converted, recipe: str) -> None:
    many.check(recipe, samples(many.info, 12))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", TFLITE)
def test_the_declared_signature_is_the_sources(many: Converted, recipe: str) -> None:
    many.check_signature(recipe)


@pytest.mark.parametrize("recipe", ["tflite-int8", "tflite-int16x8"])
def test_the_declared_quantization_is_the_files(many: Converted, recipe: str) -> None:
    artifact = many[recipe]
    runner = Interpreter(model_content=artifact.data).get_signature_runner()
    for specs, details in (
        (artifact.signature.inputs, runner.get_input_details()),
        (artifact.signature.outputs, runner.get_output_details()),
    ):
        for spec in specs:
            assert spec.quantization is not None
            scale, zero = details[spec.name]["quantization"]
            assert (np.float32(spec.quantization.scale), spec.quantization.zero_point) == (np.float32(scale), zero)


@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8"])
def test_a_fixed_batch(many: Converted, recipe: str) -> None:
    artifact = many.convert(recipe, batch=7)  # 40 calibration samples: the last batch is filled up
    assert {spec.shape[0] for spec in (*artifact.signature.inputs, *artifact.signature.outputs)} == {7}
    details = Interpreter(model_content=artifact.data).get_signature_runner().get_input_details()
    assert {int(entry["shape"][0]) for entry in details.values()} == {7}


def test_calibration_samples_that_do_not_fill_a_batch_all_count(keras_worker: Worker) -> None:
    converted = Converted(keras_worker, "value", ["tflite-int8"])
    x = np.zeros((3, 16), np.float32)
    x[0], x[2] = -1, 5  # the largest comes last
    converted.calibration = {"x": x}
    artifact = converted.convert("tflite-int8", batch=2)
    found = run_pairs(artifact, np.repeat(x, 2, axis=0))
    np.testing.assert_allclose(found, np.repeat(converted.answers({"x": x})["value"], 2, axis=0), atol=0.3)


def run_pairs(artifact: Artifact, x: np.ndarray) -> np.ndarray:
    """The one output of an artifact with a batch of two."""
    interpreter = Interpreter(model_content=artifact.data)
    interpreter.allocate_tensors()
    (takes,), (gives,) = interpreter.get_input_details(), interpreter.get_output_details()
    parts = []
    for row in range(0, len(x), 2):
        scale, zero = takes["quantization"]
        steps = np.clip(np.rint(x[row : row + 2] / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(takes["index"], steps)
        interpreter.invoke()
        scale, zero = gives["quantization"]
        parts.append((interpreter.get_tensor(gives["index"]).astype(np.float32) - zero) * scale)
    return np.concatenate(parts)


@pytest.mark.slow
def test_the_same_bytes_twice_in_one_process(keras_worker: Worker, net_file: Path, digits: Digits) -> None:
    calibration = {"image": digits.calibration[:20]}
    first, second = (
        keras_worker.call("convert_together", net_file, TFLITE, calibration, 0, returns=list[Artifact])
        for _ in range(2)
    )
    for recipe, made, again in zip(TFLITE, first, second, strict=True):
        assert made.data == again.data, recipe
    assert first == second


@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-fp16"])
def test_whole_numbers_in(keras_worker: Worker, recipe: str) -> None:
    tokens = {"tokens": np.random.default_rng(0).integers(200, size=(20, 5)).astype(np.int32)}
    Converted(keras_worker, "tokens", [recipe]).check(recipe, tokens)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nested", "states", "by_name", "cross_attention"])
def test_other_shapes_of_models(convertible: Convertible, kind: str) -> None:
    converted = convertible(kind)
    converted.check("tflite-fp32", samples(converted.info, 8))


@pytest.mark.parametrize("recipe", TFLITE)
def test_needs_are_those_of_the_file(many: Converted, recipe: str) -> None:
    needs = many[recipe].needs
    assert needs.operators == tuple(sorted(set(needs.operators)))
    assert (needs.engine, needs.opset) == ("tflite", None)
    assert "FULLY_CONNECTED" in needs.operators
