"""Keras 2 models as sources, against tf-keras's own answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeml
from edgeml.core.decisions import Decision
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.source import SourceInfo
from edgeml.core.system.worker import Worker
from tests.support.legacy_models import LegacyModelsSettings
from tests.support.mlperf import mlperf_model, mlperf_samples

pytestmark = pytest.mark.slow  # trains, or converts, what all of them look at

FORMS = [".h5", ""]
SAMPLES = 70  # two batches of 32, and a rest


def described(models: Worker, path: Path) -> SourceInfo:
    return models.call("describe", path, returns=SourceInfo)


def inputs_of(info: SourceInfo) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        spec.name: rng.integers(0, 20, size=(SAMPLES, *(size or 1 for size in spec.shape[1:]))).astype(np.float32)
        for spec in info.signature.inputs
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["many", "sigmoid", "nested", "with_operators", "with_array_operators"])
def test_the_reference_is_what_tf_keras_gives(legacy_models: Worker, kind: str, form: str) -> None:
    path = legacy_models.call("make", kind, form, returns=Path)
    info = described(legacy_models, path)
    assert info.framework == "tf_keras"
    inputs = inputs_of(info)
    found = legacy_models.call("reference", path, inputs, returns=dict[str, np.ndarray])
    wanted = legacy_models.call("answers", path, list(inputs.values()), returns=list[np.ndarray])
    assert list(found) == [spec.name for spec in info.signature.outputs]
    for spec, values in zip(info.signature.outputs, wanted, strict=True):
        assert found[spec.name].shape == (SAMPLES, *spec.shape[1:])
        np.testing.assert_allclose(found[spec.name], values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_names_are_such_as_every_format_takes(legacy_models: Worker, form: str) -> None:
    signature = described(legacy_models, legacy_models.call("make", "many", form, returns=Path)).signature
    assert [spec.name for spec in signature.inputs] == ["x", "z_1", "t"]
    assert [(spec.name, spec.shape) for spec in signature.outputs] == [("zeta", (None, 2)), ("alpha", (None, 1))]


@pytest.mark.parametrize("form", [*FORMS, ".keras"])
def test_inputs_and_outputs_of_dicts_go_by_their_keys(legacy_models: Worker, form: str) -> None:
    path = legacy_models.call("make", "crossed", form, returns=Path)
    inputs = inputs_of(described(legacy_models, path))
    found = legacy_models.call("reference", path, inputs, returns=dict[str, np.ndarray])
    wanted = legacy_models.call("named_answers", path, inputs, returns=dict[str, np.ndarray])
    assert set(inputs) == {"before", "after"}
    assert set(found) == set(wanted) == {"up", "down"}
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        ("many", None),
        ("sigmoid", Decision((0, 1), 0.5, probabilities=True)),
        ("nested", Decision((0, 1, 2, 3), probabilities=True)),
    ],
)
def test_what_the_model_tells_of_its_task(legacy_models: Worker, kind: str, decision: Decision | None) -> None:
    info = described(legacy_models, legacy_models.call("make", kind, ".h5", returns=Path))
    assert info.decision == decision
    assert info.task == ("classification" if decision else None)


def test_the_digest_is_that_of_the_model_not_of_the_file(legacy_models: Worker, tmp_path: Path) -> None:
    path = legacy_models.call("make", "nested", ".h5", returns=Path)
    info, data = described(legacy_models, path), path.read_bytes()
    again = tmp_path / "again.h5"
    again.write_bytes(data)
    other = described(legacy_models, legacy_models.call("make", "sigmoid", ".h5", returns=Path))
    assert described(legacy_models, again) == info
    assert other.digest != info.digest


@pytest.mark.usefixtures("cold_children")
def test_keras_3_is_not_loaded(tmp_path: Path) -> None:
    with Worker("tests.support.legacy_models:LegacyModels", LegacyModelsSettings(tmp_path), tmp_path) as models:
        described(models, models.call("make", "nested", "", returns=Path))
        assert models.call("keras_3_modules", returns=list[str]) == []


def test_a_file_of_weights_alone(legacy_models: Worker) -> None:
    with pytest.raises(InputError, match="holds only the weights of a Keras model"):
        described(legacy_models, legacy_models.call("weights_alone", returns=Path))


def test_a_file_that_is_no_hdf5(legacy_models: Worker, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"no model at all")
    with pytest.raises(InputError, match="is not a valid HDF5 file"):
        described(legacy_models, path)


def test_a_folder_that_is_no_saved_model(legacy_models: Worker, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a SavedModel: saved_model\.pb was not found"):
        described(legacy_models, tmp_path)
    with pytest.raises(InputError, match="is a folder, but not a SavedModel"):
        edgeml.build(tmp_path)


def test_a_saved_model_that_is_no_keras_model(legacy_models: Worker) -> None:
    with pytest.raises(UnsupportedModelError, match=r"module: .*") as caught:
        described(legacy_models, legacy_models.call("module", returns=Path))
    assert "model.save()" in caught.value.fix


def test_a_free_size_is_refused(legacy_models: Worker) -> None:
    with pytest.raises(UnsupportedModelError, match=r"'x' has the shape \[None, None, 4\]"):
        described(legacy_models, legacy_models.call("make", "with_free_size", ".h5", returns=Path))


@pytest.mark.parametrize("form", FORMS)
def test_all_recipes_of_a_file_from_another_process(legacy_models: Worker, form: str) -> None:
    path = legacy_models.call("make", "nested", form, returns=Path)
    rng = np.random.default_rng(0)
    x = rng.random((64, 8, 8, 3), dtype=np.float32)
    package = edgeml.build(path, calibration=x, goal=edgeml.Goal(min_agreement=0.5, lower_floors=True))
    made = {record.recipe for record in package.manifest.artifacts}
    # No layer has the 1,024 weights from which on TFLite stores them as integers.
    assert made == {recipe.id for recipe in edgeml.RECIPES} - {"tflite-dynamic"}
    assert package.manifest.source.framework == "tf_keras"
    assert package.manifest.artifacts[0].lineage[0].startswith("tf-keras 2.")


def test_a_model_in_memory(legacy_models: Worker) -> None:
    package = edgeml.open_package(legacy_models.call("build_in_memory", "sigmoid", "onnx-fp32", returns=Path))
    assert package.released == ("onnx-fp32",)
    assert package.manifest.source.framework == "tf_keras"


@pytest.mark.parametrize(
    ("kind", "form", "policy"),
    [
        ("mixed_float16", ".h5", "mixed_float16"),
        ("mixed_float16", "", "mixed_float16"),
        ("float64", ".keras", "float64"),
    ],
)
def test_another_precision_is_carried_in_float32(legacy_models: Worker, kind: str, form: str, policy: str) -> None:
    path = legacy_models.call("make", kind, form, returns=Path)
    x = np.random.default_rng(0).standard_normal((40, 6, 6, 3)).astype(np.float32)
    package = edgeml.build(path, evaluation=x, recipes=["onnx-fp32"])
    assert package.released == ("onnx-fp32",)
    assert package.manifest.source.computes == policy
    (record,) = package.manifest.artifacts
    assert record.evaluation.fidelity.sqnr_db > 90  # of the same weights in float32
    assert any(f"the model computes in {policy}" in remark for remark in record.verdict.remarks)
    (wanted,) = legacy_models.call("answers", path, [x], returns=list[np.ndarray])
    found = np.asarray(package.session("onnx-fp32").predict(x))
    decibels = 10 * np.log10(np.square(wanted).sum() / np.square(found - wanted).sum())
    assert 50 < decibels < 90 if policy == "mixed_float16" else decibels > 90  # of the model as it was saved


def test_another_precision_that_cannot_be_changed_is_refused(legacy_models: Worker) -> None:
    path = legacy_models.call("make", "mixed_own_class", "", returns=Path)
    with pytest.raises(UnsupportedModelError, match="computes in mixed_float16, and Keras cannot rebuild") as caught:
        described(legacy_models, path)
    assert "under the policy 'float32'" in caught.value.fix


def test_a_class_that_changes_its_training_alone_is_left_out(legacy_models: Worker) -> None:
    package = edgeml.open_package(legacy_models.call("build_in_memory", "own_training", "onnx-fp32", returns=Path))
    assert package.released == ("onnx-fp32",)
    assert package.manifest.source.architecture == "Functional"


@pytest.mark.parametrize("form", FORMS)
def test_text_is_refused_with_the_model_behind_it(legacy_models: Worker, form: str) -> None:
    with pytest.raises(UnsupportedModelError, match="text inputs of Keras models are not supported") as caught:
        described(legacy_models, legacy_models.call("make", "text", form, returns=Path))
    assert "keras.Model([model.get_layer('lookup').output], model.outputs)" in caught.value.fix


def test_what_is_left_of_a_failed_recipe_holds_the_folder(legacy_models: Worker, tmp_path: Path) -> None:
    from edgeml.core.artifact import Refusal
    from edgeml.package.failures import write_failures
    from edgeml.pipeline.reproduction import collect_shared_files, create_failure
    from edgeml.pipeline.source_model import model_file

    path = legacy_models.call("make", "nested", "", returns=Path)
    file = model_file(path, tmp_path)
    failure = create_failure(Refusal("onnx-fp32", "broken", failed=True), file, None)
    for _ in range(2):
        write_failures(tmp_path / "failed", (failure,), collect_shared_files(file, {"x": np.zeros(3)}, None))
    (kept,) = (tmp_path / "failed").glob("source.*")
    assert described(legacy_models, kept) == described(legacy_models, path)
    write_failures(tmp_path / "failed", (), {})
    assert not (tmp_path / "failed").exists()


@pytest.fixture(scope="module")
def kws_package() -> edgeml.Package:
    calibration, evaluation = mlperf_samples("kws/calibration.npz"), mlperf_samples("kws/evaluation.npz")
    return edgeml.build(
        mlperf_model("kws_ref_model"), calibration=calibration["x"], evaluation=(evaluation["x"], evaluation["y"])
    )


def test_keyword_spotting_is_at_least_as_good_as_mlperfs_own_file(kws_package: edgeml.Package) -> None:
    from ai_edge_litert.interpreter import Interpreter

    samples = mlperf_samples("kws/evaluation.npz")
    interpreter = Interpreter(str(mlperf_model("kws_ref_model.tflite")))
    interpreter.allocate_tensors()
    (takes,), (gives,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = takes["quantization"]
    right = 0
    for x, y in zip(samples["x"], samples["y"], strict=True):
        interpreter.set_tensor(takes["index"], np.clip(np.rint(x / scale) + zero, -128, 127).astype(np.int8)[None])
        interpreter.invoke()
        right += int(interpreter.get_tensor(gives["index"]).argmax() == y)
    figures = {record.recipe: record.evaluation for record in kws_package.manifest.artifacts}
    assert len(figures) == len(edgeml.RECIPES)
    for recipe in ("tflite-int8", "onnx-int8"):
        metrics, agreement = figures[recipe].metrics, figures[recipe].fidelity.agreement
        assert metrics is not None
        assert metrics.accuracy is not None
        assert metrics.accuracy >= right / len(samples["y"])
        assert agreement is not None
        assert agreement >= 0.98
    for recipe in ("tflite-fp32", "onnx-fp32"):
        assert figures[recipe].fidelity.flips == 0


@pytest.mark.parametrize("name", ["vww_96.h5", "pretrainedResnet.h5", "ad01.h5", "str_ww_ref_model.h5"])
def test_mlperfs_other_models_load(legacy_models: Worker, name: str) -> None:
    info = described(legacy_models, mlperf_model(name))
    assert (info.decision is None) == (name == "ad01.h5")
