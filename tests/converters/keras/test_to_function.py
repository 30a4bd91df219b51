"""Layers that tools get wrong, built through the public API and compared with what Keras itself gives."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.system.worker import Worker
from tests.support.keras_cases import Built, Converted
from tests.support.keras_worker import Net
from tests.support.scripts import BENCHMARKS, benchmark

EXACT = ("tflite-fp32", "onnx-fp32")
INTEGER = ("tflite-int8", "onnx-int8")


@pytest.mark.slow
def test_recurrent_layers_and_exact_gelu(keras_worker: Worker) -> None:
    built = Built(keras_worker, "sequences", EXACT + INTEGER)
    assert built.package.released == EXACT + INTEGER
    session = built.package.session("onnx-fp32")
    assert list(session.run(built.inputs)) == ["recurrent", "exact", "both_ways"]  # not by their names
    assert min(built.decibels(recipe) for recipe in EXACT) > 90
    assert min(built.decibels(recipe) for recipe in INTEGER) > 15


@pytest.mark.slow
def test_recurrent_layers_with_an_initial_state(keras_worker: Worker) -> None:
    built = Built(keras_worker, "initial_states", ("onnx-fp32", *INTEGER))
    assert built.package.released == ("onnx-fp32", *INTEGER)
    assert built.decibels("onnx-fp32") > 90
    assert min(built.decibels(recipe) for recipe in INTEGER) > 15


@pytest.mark.slow
def test_recurrent_layers_of_keras_2_in_integers(legacy_models: Worker) -> None:
    """They ignore `unroll` in the form in which they may run in a kernel of their own."""
    path = legacy_models.call("make", "recurrent", ".h5", returns=Path)
    rng = np.random.default_rng(0)
    x = {"x": rng.standard_normal((60, 6, 4)), "h": rng.standard_normal((60, 8))}
    package = edgeml.build(path, calibration=x, evaluation=x, recipes=["tflite-int8"])
    assert package.released == ("tflite-int8",)
    inputs = [array.astype(np.float32) for array in x.values()]
    (wanted,) = legacy_models.call("answers", path, inputs, returns=list[np.ndarray])
    found = np.asarray(package.session("tflite-int8").predict(x))
    assert 10 * np.log10(np.square(wanted - wanted.mean(axis=0)).sum() / np.square(found - wanted).sum()) > 15


@pytest.mark.slow
def test_tokens_stay_whole_numbers_in_int8(keras_worker: Worker) -> None:
    built = Built(keras_worker, "transformer", (*EXACT, "tflite-int8", "tflite-int16x8"))
    assert built.package.released == (*EXACT, "tflite-int8")
    assert min(built.decibels(recipe) for recipe in EXACT) > 90
    assert built.decibels("tflite-int8") > 15
    (takes,) = built.package.session("tflite-int8").signature.inputs
    assert (takes.dtype, takes.quantization) == ("int32", None)
    assert built.refused["tflite-int16x8"].reason.startswith("int16x8 does not support inputs of indices")
    halves = built.inputs["tokens"] + np.float32(0.5)
    with pytest.raises(InputError, match=r"input 'tokens': sample 0 holds a fraction .* expected whole numbers"):
        edgeml.build(built.path, evaluation=halves)


@pytest.mark.slow
def test_a_model_in_mixed_precision_is_carried_in_float32(keras_worker: Worker) -> None:
    built = Built(keras_worker, "mixed_float16", EXACT)
    assert built.package.released == EXACT
    assert built.package.manifest.source.computes == "mixed_float16"
    for record in built.package.manifest.artifacts:
        assert record.evaluation.fidelity.sqnr_db > 90  # of the same weights in float32
        assert 50 < built.decibels(record.recipe) < 90  # of the model as it was saved
        assert any("the model computes in mixed_float16" in remark for remark in record.verdict.remarks)


class Warm:
    """In place of the pool of one new process that makes the net: the worker, where Keras is loaded."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def submit(self, _: Callable[..., object], name: str, size: int, folder: Path) -> Future[Net]:
        done: Future[Net] = Future()
        done.set_result(self._worker.call("make_net", name, size, folder, returns=Net))
        return done


@pytest.mark.slow
def test_a_net_of_keras_applications(keras_worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = benchmark("keras_applications")
    monkeypatch.setattr(module, "ProcessPoolExecutor", lambda *_: Warm(keras_worker))
    row = module.swept("MobileNetV3Small", tmp_path)
    assert row.zeros_db < 20
    assert {outcome.recipe: outcome.verdict for outcome in row.outcomes} == dict.fromkeys(EXACT, "released")


@pytest.mark.slow
def test_a_long_sequence_in_integers_is_refused(convertible: Callable[[str], Converted]) -> None:
    with pytest.raises(UnsupportedModelError, match=r"loop \(While\)") as caught:  # the converter would crash
        convertible("long_sequence").convert("tflite-int8")
    assert "onnx-int8" in caught.value.fix
