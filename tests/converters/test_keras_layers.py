"""Layers that tools get wrong, built through the public API and compared with what Keras itself gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError
from edgeml.core.source import SourceInfo
from edgeml.core.worker import Worker
from tests.support.scripts import BENCHMARKS, benchmark

EXACT = ("tflite-fp32", "onnx-fp32")
INTEGER = ("tflite-int8", "onnx-int8")


def samples(info: SourceInfo, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {}
    for spec in info.signature.inputs:
        shape = (40, *(size or 1 for size in spec.shape[1:]))
        values = rng.integers(1, 300, shape) if spec.name in info.whole_inputs else rng.standard_normal(shape)
        values[::4, -2:] = 0  # hidden by masks, where there are some
        arrays[spec.name] = values.astype(np.float32)
    return arrays


class Built:
    """A model, and a package of it."""

    def __init__(self, models: Worker, kind: str, recipes: tuple[str, ...]) -> None:
        self._models = models
        self.path = models.call("make", kind, returns=Path)
        self.info = models.call("describe", self.path, returns=SourceInfo)
        self.inputs = samples(self.info, 1)
        self.package = edgeml.build(
            self.path, recipes=recipes, calibration=samples(self.info, 2), evaluation=self.inputs, task="regression"
        )
        self.refused = {item.recipe: item for item in self.package.manifest.refused}

    def answers(self) -> list[np.ndarray]:
        """What Keras gives, in the model's own order."""
        return self._models.call("answers", self.path, list(self.inputs.values()), returns=list[np.ndarray])

    def decibels(self, recipe: str) -> float:
        """The least SQNR of an artifact's outputs about their mean, against Keras's own."""
        found = self.package.session(recipe).run(self.inputs)
        worst = np.inf
        for output, answer in zip(found.values(), self.answers(), strict=True):
            assert output.shape == answer.shape
            wanted = answer.astype(np.float64)
            noise = np.square(output - wanted).sum()
            worst = min(worst, 10 * np.log10(np.square(wanted - wanted.mean(axis=0)).sum() / max(noise, 1e-30)))
        return float(worst)


def test_recurrent_layers_and_exact_gelu(keras_models: Worker) -> None:
    built = Built(keras_models, "sequences", EXACT + INTEGER)
    assert built.package.released == EXACT + INTEGER
    session = built.package.session("onnx-fp32")
    assert list(session.run(built.inputs)) == ["recurrent", "exact", "both_ways"]  # not by their names
    assert min(built.decibels(recipe) for recipe in EXACT) > 90
    assert min(built.decibels(recipe) for recipe in INTEGER) > 15


def test_tokens_stay_whole_numbers_in_int8(keras_models: Worker) -> None:
    built = Built(keras_models, "transformer", (*EXACT, "tflite-int8", "tflite-int16x8"))
    assert built.package.released == (*EXACT, "tflite-int8")
    assert min(built.decibels(recipe) for recipe in EXACT) > 90
    assert built.decibels("tflite-int8") > 15
    (takes,) = built.package.session("tflite-int8").signature.inputs
    assert (takes.dtype, takes.quantization) == ("int32", None)
    assert built.refused["tflite-int16x8"].reason.startswith("The TFLite converter cannot have inputs that number")
    halves = built.inputs["tokens"] + np.float32(0.5)
    with pytest.raises(InputError, match="input 'tokens': the model takes whole numbers"):
        edgeml.build(built.path, evaluation=halves)


def test_a_model_in_mixed_precision_is_carried_in_float32(keras_models: Worker) -> None:
    built = Built(keras_models, "mixed_float16", EXACT)
    assert built.package.released == EXACT
    assert built.package.manifest.source.computes == "mixed_float16"
    for record in built.package.manifest.artifacts:
        assert record.evaluation.fidelity.sqnr_db > 90  # of the same weights in float32
        assert 50 < built.decibels(record.recipe) < 90  # of the model as it was saved
        assert any("the model computes in mixed_float16" in remark for remark in record.verdict.remarks)


def test_a_net_of_keras_applications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # for the child
    row = benchmark("keras_applications").swept("MobileNetV3Small", tmp_path)
    assert row.zeros_db < 20
    assert {outcome.recipe: outcome.verdict for outcome in row.outcomes} == dict.fromkeys(EXACT, "released")
