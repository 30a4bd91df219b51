"""Keras to ONNX, against Keras's own answers through the raw engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgeml.core.artifact import Artifact
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.system.worker import Worker
from edgeml.demo.digits import Digits
from tests.support.keras_cases import ONNX, Converted, run_onnx, samples

Convertible = Callable[[str], Converted]


@pytest.mark.parametrize("recipe", ONNX)
def test_five_inputs_and_two_outputs_in_every_recipe(many: Converted, recipe: str) -> None:
    many.check(recipe, samples(many.info, 12))


@pytest.mark.parametrize("recipe", ONNX)
def test_the_declared_signature_is_the_sources(many: Converted, recipe: str) -> None:
    many.check_signature(recipe)


@pytest.mark.parametrize("recipe", ["onnx-fp32", "onnx-int8"])
def test_a_fixed_batch(many: Converted, recipe: str) -> None:
    artifact = many.convert(recipe, batch=7)  # 40 calibration samples: the last batch is filled up
    assert {spec.shape[0] for spec in (*artifact.signature.inputs, *artifact.signature.outputs)} == {7}
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    assert {node.shape[0] for node in session.get_inputs()} == {7}


@pytest.mark.slow
@pytest.mark.parametrize("batch", [0, 1, 4])
def test_loops_that_read_quantized_values_from_outside(keras_worker: Worker, batch: int) -> None:
    """onnxruntime ended the process that opened such a file with a fixed batch."""
    converted = Converted(keras_worker, "masked", ["onnx-int8"])
    inputs = {"x": samples(converted.info, 12)["x"]}
    inputs["x"][::3, 4:] = 0
    artifact = converted.convert("onnx-int8", batch=batch)
    feeds = [inputs["x"][row : row + (batch or 12)] for row in range(0, 12, batch or 12)]
    found = np.concatenate([next(iter(run_onnx(artifact, {"x": feed}).values())) for feed in feeds])
    (wanted,) = converted.answers(inputs).values()
    np.testing.assert_allclose(found, wanted, atol=0.3)
    assert 10 * np.log10(np.square(wanted - wanted.mean(axis=0)).sum() / np.square(found - wanted).sum()) > 15


def test_calibration_samples_that_do_not_fill_a_batch_all_count(keras_worker: Worker) -> None:
    converted = Converted(keras_worker, "value", ["onnx-int8"])
    x = np.zeros((3, 16), np.float32)
    x[0], x[2] = -1, 5  # the largest comes last
    converted.calibration = {"x": x}
    artifact, twice = converted.convert("onnx-int8", batch=2), np.repeat(x, 2, axis=0)
    found = np.concatenate([run_onnx(artifact, {"x": twice[row : row + 2]})["value"] for row in range(0, 6, 2)])
    np.testing.assert_allclose(found, np.repeat(converted.answers({"x": x})["value"], 2, axis=0), atol=0.3)


def test_the_same_bytes_twice_in_one_process(keras_worker: Worker, net_file: Path, digits: Digits) -> None:
    calibration = {"image": digits.calibration[:20]}
    first, second = (
        keras_worker.call("convert_together", net_file, ONNX, calibration, 0, returns=list[Artifact]) for _ in range(2)
    )
    for recipe, made, again in zip(ONNX, first, second, strict=True):
        assert made.data == again.data, recipe
    assert first == second


@pytest.mark.parametrize("recipe", ["onnx-fp32", "onnx-dynamic"])
def test_whole_numbers_in(keras_worker: Worker, recipe: str) -> None:
    tokens = {"tokens": np.random.default_rng(0).integers(200, size=(20, 5)).astype(np.int32)}
    Converted(keras_worker, "tokens", [recipe]).check(recipe, tokens)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nested", "states", "by_name", "cross_attention"])
def test_other_shapes_of_models(convertible: Convertible, kind: str) -> None:
    converted = convertible(kind)
    converted.check("onnx-fp32", samples(converted.info, 8))


@pytest.mark.parametrize("kind", ["many", "dead"])  # outputs that are not in the order of their names
def test_the_sources_order_is_kept(convertible: Convertible, kind: str) -> None:
    converted = convertible(kind)
    session = onnxruntime.InferenceSession(converted["onnx-fp32"].data, providers=["CPUExecutionProvider"])
    signature = converted.info.signature
    assert [node.name for node in session.get_inputs()] == [spec.name for spec in signature.inputs]
    assert [node.name for node in session.get_outputs()] == [spec.name for spec in signature.outputs]


@pytest.mark.parametrize("recipe", ONNX)
def test_needs_are_those_of_the_file(many: Converted, recipe: str) -> None:
    needs = many[recipe].needs
    assert needs.operators == tuple(sorted(set(needs.operators)))
    assert (needs.engine, needs.opset) == ("onnxruntime", 17)
    assert needs.engine_version == "1.12.0"


@pytest.mark.parametrize("recipe", ["onnx-dynamic", "onnx-int8"])
def test_a_recipe_that_would_leave_the_model_as_it_is_is_refused(convertible: Convertible, recipe: str) -> None:
    with pytest.raises(UnsupportedModelError, match="quantized nothing") as caught:
        convertible("parameter_free").convert(recipe)
    assert "fp32" in caught.value.fix
