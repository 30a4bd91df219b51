"""Keras converters, against Keras's own answers through the raw engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgeml.core.artifact import Artifact
from edgeml.core.errors import ConversionError, UnsupportedModelError
from edgeml.core.recipe import RECIPES
from edgeml.core.source import SourceInfo
from edgeml.core.worker import Worker
from edgeml.trainers.digits import Digits

ALL = [recipe.id for recipe in RECIPES]
# What float32, float16 and 8-bit arithmetic leave of outputs of size 1, with room.
TOLERANCE = {"fp32": 1e-5, "fp16": 1e-2, "dynamic": 0.15, "int8": 0.3, "int16x8": 0.15}


def samples(info: SourceInfo, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        spec.name: rng.standard_normal((count, *(size or 1 for size in spec.shape[1:]))).astype(np.float32)
        for spec in info.signature.inputs
    }


def run_tflite(artifact: Artifact, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The artifact's answers through the raw interpreter's signature, one sample at a time."""
    interpreter = Interpreter(model_content=artifact.data, num_threads=1)
    runner = interpreter.get_signature_runner()

    def stored(values: np.ndarray, details: Any) -> np.ndarray:
        scale, zero = details["quantization"]
        if not scale:
            return values
        limits = np.iinfo(details["dtype"])
        steps = np.rint(values.astype(np.float64) / scale) + zero
        return np.clip(steps, limits.min, limits.max).astype(details["dtype"])

    def real(values: np.ndarray, details: Any) -> np.ndarray:
        scale, zero = details["quantization"]
        return (values.astype(np.float64) - zero) * scale if scale else values

    takes, gives = runner.get_input_details(), runner.get_output_details()
    rows = []
    for row in range(len(next(iter(inputs.values())))):
        feed = {name: stored(array[row : row + 1], takes[name]) for name, array in inputs.items()}
        rows.append({name: real(values, gives[name]) for name, values in runner(**feed).items()})
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def run_onnx(artifact: Artifact, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def run(artifact: Artifact, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return (run_tflite if artifact.recipe.startswith("tflite") else run_onnx)(artifact, inputs)


class Converted:
    """A model, its calibration samples, and artifacts of it, each made once."""

    def __init__(self, models: Worker, kind: str) -> None:
        self.models = models
        self.path = models.call("make", kind, returns=Path)
        self.info = models.call("describe", self.path, returns=SourceInfo)
        self.calibration = samples(self.info, 40, seed=1)
        self._made: dict[str, Artifact] = {}

    def __getitem__(self, recipe: str) -> Artifact:
        if recipe not in self._made:
            self._made[recipe] = self.convert(recipe)
        return self._made[recipe]

    def convert(self, recipe: str, batch: int = 0) -> Artifact:
        return self.models.call("convert", self.path, recipe, self.calibration, batch, returns=Artifact)

    def answers(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = self.models.call("answers", self.path, list(inputs.values()), returns=list[np.ndarray])
        return {spec.name: values for spec, values in zip(self.info.signature.outputs, found, strict=True)}


@pytest.fixture(scope="module")
def many(keras_models: Worker) -> Converted:
    return Converted(keras_models, "many")


@pytest.mark.parametrize("recipe", ALL)
def test_five_inputs_and_two_outputs_in_every_recipe(many: Converted, recipe: str) -> None:
    artifact, inputs = many[recipe], samples(many.info, 12)
    found, wanted = run(artifact, inputs), many.answers(inputs)
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=TOLERANCE[recipe.partition("-")[2]])


@pytest.mark.parametrize("recipe", ALL)
def test_the_declared_signature_is_the_sources(many: Converted, recipe: str) -> None:
    signature, source = many[recipe].signature, many.info.signature
    batch = 1 if recipe.startswith("tflite") else None
    for declared, wanted in ((signature.inputs, source.inputs), (signature.outputs, source.outputs)):
        assert [(spec.name, spec.shape) for spec in declared] == [(s.name, (batch, *s.shape[1:])) for s in wanted]
    dtype = {"tflite-int8": "int8", "tflite-int16x8": "int16"}.get(recipe, "float32")
    assert {spec.dtype for spec in (*signature.inputs, *signature.outputs)} == {dtype}


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


@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"])
def test_a_fixed_batch(many: Converted, recipe: str) -> None:
    artifact = many.convert(recipe, batch=7)  # 40 calibration samples: the last batch is filled up
    assert {spec.shape[0] for spec in (*artifact.signature.inputs, *artifact.signature.outputs)} == {7}
    if recipe.startswith("tflite"):
        details = Interpreter(model_content=artifact.data).get_signature_runner().get_input_details()
        assert {int(entry["shape"][0]) for entry in details.values()} == {7}
    else:
        session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
        assert {node.shape[0] for node in session.get_inputs()} == {7}


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-int8"])
def test_calibration_samples_that_do_not_fill_a_batch_all_count(keras_models: Worker, recipe: str) -> None:
    converted = Converted(keras_models, "value")
    x = np.zeros((3, 16), np.float32)
    x[0], x[2] = -1, 5  # the largest comes last
    converted.calibration = {"x": x}
    artifact = converted.convert(recipe, batch=2)
    found = run_batches(artifact, np.repeat(x, 2, axis=0))
    np.testing.assert_allclose(found, np.repeat(converted.answers({"x": x})["value"], 2, axis=0), atol=0.3)


def run_batches(artifact: Artifact, x: np.ndarray) -> np.ndarray:
    """The one output of an artifact with a batch of two."""
    if artifact.recipe.startswith("onnx"):
        pairs = [run_onnx(artifact, {"x": x[row : row + 2]}) for row in range(0, len(x), 2)]
        return np.concatenate([next(iter(pair.values())) for pair in pairs])
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


@pytest.mark.parametrize("recipe", ALL)
def test_the_same_bytes_twice_in_one_process(keras_models: Worker, net_file: Path, digits: Digits, recipe: str) -> None:
    calibration = {"image": digits.calibration[:20]}
    first, second = (keras_models.call("convert", net_file, recipe, calibration, 0, returns=Artifact) for _ in range(2))
    assert first.data == second.data
    assert first == second


@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-fp16", "onnx-fp32", "onnx-dynamic"])
def test_whole_numbers_in(keras_models: Worker, recipe: str) -> None:
    converted = Converted(keras_models, "tokens")
    tokens = {"tokens": np.random.default_rng(0).integers(200, size=(20, 5)).astype(np.float32)}
    found, wanted = run(converted[recipe], tokens), converted.answers(tokens)
    np.testing.assert_allclose(found["scores"], wanted["scores"], atol=TOLERANCE[recipe.partition("-")[2]])


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
@pytest.mark.parametrize("kind", ["nested", "states", "by_name", "cross_attention", "resized"])
def test_other_shapes_of_models(keras_models: Worker, kind: str, recipe: str) -> None:
    converted = Converted(keras_models, kind)
    inputs = samples(converted.info, 8)
    found, wanted = run(converted[recipe], inputs), converted.answers(inputs)
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)


def test_onnx_keeps_the_sources_order(keras_models: Worker, many: Converted) -> None:
    for converted in (many, Converted(keras_models, "dead")):  # its outputs are not in the order of their names
        session = onnxruntime.InferenceSession(converted["onnx-fp32"].data, providers=["CPUExecutionProvider"])
        signature = converted.info.signature
        assert [node.name for node in session.get_inputs()] == [spec.name for spec in signature.inputs]
        assert [node.name for node in session.get_outputs()] == [spec.name for spec in signature.outputs]


@pytest.mark.parametrize("recipe", ALL)
def test_needs_are_those_of_the_file(many: Converted, recipe: str) -> None:
    needs = many[recipe].needs
    assert needs.operators == tuple(sorted(set(needs.operators)))
    if recipe.startswith("tflite"):
        assert (needs.engine, needs.opset) == ("tflite", None)
        assert "FULLY_CONNECTED" in needs.operators
    else:
        assert (needs.engine, needs.opset) == ("onnxruntime", 17)
        assert needs.engine_version == "1.12.0"


@pytest.mark.parametrize("recipe", [recipe for recipe in ALL if recipe.startswith("tflite")])
def test_an_operator_that_tflite_lacks_is_named(keras_models: Worker, recipe: str) -> None:
    with pytest.raises(ConversionError, match=r"TFLite has no operator for tf\.Cumprod\(tensor<1x16xf32>") as caught:
        Converted(keras_models, "cumprod").convert(recipe)
    assert "Cumprod" in caught.value.log


@pytest.mark.parametrize("recipe", [recipe for recipe in ALL if recipe.startswith("onnx")])
def test_an_operator_that_onnx_lacks_is_named(keras_models: Worker, recipe: str) -> None:
    with pytest.raises(ConversionError, match="ONNX has no operator for Imag, RFFT, Real"):
        Converted(keras_models, "spectrum").convert(recipe)


@pytest.mark.parametrize("recipe", ["tflite-fp16", "tflite-dynamic", "onnx-dynamic", "onnx-int8"])
def test_a_recipe_that_would_leave_the_model_as_it_is_is_refused(keras_models: Worker, recipe: str) -> None:
    with pytest.raises(UnsupportedModelError, match="found no") as caught:
        Converted(keras_models, "parameter_free").convert(recipe)
    assert "fp32" in caught.value.fix


def test_a_long_sequence_in_integers_is_refused(keras_models: Worker) -> None:
    with pytest.raises(UnsupportedModelError, match=r"loop \(While\)") as caught:  # the converter would crash
        Converted(keras_models, "long_sequence").convert("tflite-int8")
    assert "onnx-int8" in caught.value.fix
