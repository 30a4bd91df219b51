"""Keras models as sources, against Keras's own answers."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import edgeml
from edgeml.core.decisions import Decision
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.source import SourceInfo
from edgeml.core.system.worker import Worker

SAMPLES = 70  # two batches of 32, and a rest


def described(models: Worker, path: Path) -> SourceInfo:
    return models.call("describe", path, returns=SourceInfo)


def inputs_of(info: SourceInfo, *, whole: int = 0) -> dict[str, np.ndarray]:
    """Random samples; whole numbers below `whole` where it is given."""
    rng = np.random.default_rng(0)
    found = {}
    for spec in info.signature.inputs:
        shape = (SAMPLES, *(size or 1 for size in spec.shape[1:]))
        values = rng.integers(whole, size=shape) if whole else rng.standard_normal(shape)
        found[spec.name] = values.astype(np.float32)
    return found


@pytest.fixture(scope="module")
def many(keras_models: Worker) -> Path:
    return keras_models.call("make", "many", returns=Path)


@pytest.mark.slow
def test_names_are_such_as_every_format_takes(keras_models: Worker, many: Path) -> None:
    signature = described(keras_models, many).signature
    assert [spec.name for spec in signature.inputs] == ["x", "X_2", "gr__e", "tensor_2nd_one", "tensor_2nd_one_2"]
    assert [spec.shape for spec in signature.inputs] == [(None, size) for size in (4, 3, 2, 2, 2)]
    assert {spec.dtype for spec in (*signature.inputs, *signature.outputs)} == {"float32"}


@pytest.mark.slow
def test_outputs_have_the_keys_that_the_model_gives_them(keras_models: Worker, many: Path) -> None:
    signature = described(keras_models, many).signature
    assert [(spec.name, spec.shape) for spec in signature.outputs] == [("alpha", (None, 1)), ("zeta", (None, 2))]


@pytest.mark.slow
def test_names_are_the_same_every_time(keras_models: Worker, many: Path) -> None:
    assert described(keras_models, many) == described(keras_models, many)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["many", "tokens", "sigmoid", "nested", "states", "dead", "nested_inputs"])
def test_the_reference_is_what_keras_gives(keras_models: Worker, kind: str) -> None:
    path = keras_models.call("make", kind, returns=Path)
    info = described(keras_models, path)
    inputs = inputs_of(info, whole=200 if kind == "tokens" else 0)
    found = keras_models.call("reference", path, inputs, returns=dict[str, np.ndarray])
    wanted = keras_models.call("answers", path, list(inputs.values()), returns=list[np.ndarray])
    assert list(found) == [spec.name for spec in info.signature.outputs]
    for spec, values in zip(info.signature.outputs, wanted, strict=True):
        assert found[spec.name].dtype == np.float32
        assert found[spec.name].shape == (SAMPLES, *spec.shape[1:])
        np.testing.assert_allclose(found[spec.name], values, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_dicts_keep_their_names(keras_models: Worker) -> None:
    path = keras_models.call("make", "by_name", returns=Path)
    info = described(keras_models, path)
    inputs = inputs_of(info)
    assert set(inputs) == {"left", "right"}
    found = keras_models.call("reference", path, inputs, returns=dict[str, np.ndarray])
    wanted = keras_models.call("named_answers", path, inputs, returns=dict[str, np.ndarray])
    assert set(found) == set(wanted) == {"up", "down"}
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["keras", "h5"])
def test_inputs_of_a_dict_go_by_its_keys(keras_models: Worker, form: str) -> None:
    path = keras_models.call("make_in_form", "crossed", form, returns=Path)
    info = described(keras_models, path)
    inputs = inputs_of(info, whole=9)
    assert list(inputs) == ["after", "before", "word"]
    assert info.whole_inputs == ("word",)
    package = edgeml.build(path, evaluation=inputs, recipes=["onnx-fp32"])
    wanted = keras_models.call("named_answers", path, inputs, returns=dict[str, np.ndarray])
    found = package.session("onnx-fp32").run(inputs)
    assert set(found) == set(wanted) == {"up", "down"}
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_names_of_layers_are_not_taken_for_keys(keras_models: Worker) -> None:
    path = keras_models.call("make", "crossed", returns=Path)
    x = np.zeros((8, 4), np.float32)
    with pytest.raises(InputError, match=r"got inputs .*'ids'\], expected \['after', 'before', 'word'\]") as caught:
        edgeml.build(path, evaluation={"before": x, "after": x, "ids": x[:, :1]})
    assert "after, before, word" in caught.value.fix


def test_inputs_of_nested_structures_go_by_their_keys(keras_models: Worker) -> None:
    signature = described(keras_models, keras_models.call("make", "nested_inputs", returns=Path)).signature
    assert [spec.name for spec in signature.inputs] == ["left", "right", "other"]  # by the sorted keys, as Keras itself
    assert [spec.name for spec in signature.outputs] == ["a_b"]


def test_several_outputs_of_one_layer_have_names_of_their_own(keras_models: Worker) -> None:
    info = described(keras_models, keras_models.call("make", "states", returns=Path))
    assert [spec.name for spec in info.signature.outputs] == ["lstm", "lstm_2", "lstm_3"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        ("tokens", Decision((0, 1, 2), probabilities=True)),
        ("nested", Decision((0, 1, 2, 3), probabilities=True)),
        ("sigmoid", Decision((0, 1), threshold=0.5, probabilities=True)),
        ("classes_of_pixels", Decision((0, 1, 2, 3), probabilities=True)),
        ("logits", None),
        ("autoencoder", None),
        ("many", None),
    ],
)
def test_what_the_model_tells_of_its_task(keras_models: Worker, kind: str, decision: Decision | None) -> None:
    info = described(keras_models, keras_models.call("make", kind, returns=Path))
    assert info.decision == decision
    tasks = {"classes_of_pixels": "segmentation"}
    assert info.task == (tasks.get(kind, "classification") if decision else None)


@pytest.mark.slow
def test_sigmoids_that_may_be_labels(keras_models: Worker) -> None:
    """Also behind layers that only move numbers, and in convolutions."""
    mask, tags = (
        described(keras_models, keras_models.call("make", kind, returns=Path)) for kind in ("mask", "joined_sigmoids")
    )
    assert (mask.task, mask.decision) == (None, Decision((0, 1), threshold=0.5, probabilities=True))
    expected = Decision((0, 1, 2), threshold=0.5, probabilities=True, independent=True)
    assert (tags.task, tags.decision) == (None, expected)


@pytest.mark.slow
def test_the_digest_is_of_architecture_and_weights(keras_models: Worker) -> None:
    files = keras_models.call("variants", returns=dict[str, Path])
    digests = {name: described(keras_models, path).digest for name, path in files.items()}
    assert files["plain"].read_bytes() != files["compiled"].read_bytes()
    assert digests["plain"] == digests["again"] == digests["compiled"]
    assert len({digests[name] for name in ("plain", "nudged", "renamed")}) == 3


def test_versions_are_told(keras_models: Worker, many: Path) -> None:
    assert set(described(keras_models, many).versions) == {"keras", "tensorflow", "numpy"}


@pytest.mark.parametrize("kind", ["never_built", "subclassed"])
def test_a_model_in_memory_without_known_inputs_is_refused(keras_models: Worker, kind: str) -> None:
    with pytest.raises(UnsupportedModelError, match="does not have inputs of known shape") as caught:
        keras_models.call("save_in_memory", kind, returns=Path)
    assert "keras.Input" in caught.value.fix


def test_a_sequential_model_that_was_built_by_a_call_is_taken(keras_models: Worker) -> None:
    path = keras_models.call("save_in_memory", "without_input", returns=Path)
    info = described(keras_models, path)
    assert info.signature.inputs[0].shape == (None, 16)
    assert info.signature.outputs[0].name == "value"


def test_a_file_of_a_subclassed_model_is_refused(keras_models: Worker) -> None:
    path = keras_models.call("make", "subclassed", returns=Path)
    with pytest.raises(UnsupportedModelError, match=r"'Mine' of .* is not among Keras's own layers") as caught:
        described(keras_models, path)
    assert "--trust-source" in caught.value.fix


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "plain"), [("own_training", "value"), ("own_dicts", "crossed")])
def test_a_class_that_changes_its_training_alone_is_left_out(keras_models: Worker, kind: str, plain: str) -> None:
    path = keras_models.call("save_in_memory", kind, returns=Path)
    info = described(keras_models, path)
    assert info.architecture == "Functional"
    inputs = inputs_of(info, whole=9)
    assert list(inputs) == (["x"] if plain == "value" else ["after", "before", "word"])
    found = keras_models.call("reference", path, inputs, returns=dict[str, np.ndarray])
    wanted = keras_models.call("answers_in_memory", kind, list(inputs.values()), returns=list[np.ndarray])
    for values, answer in zip(found.values(), wanted, strict=True):
        np.testing.assert_allclose(values, answer, rtol=1e-5, atol=1e-6)


def test_a_file_of_such_a_class_is_refused(keras_models: Worker) -> None:
    path = keras_models.call("make", "own_training", returns=Path)
    with pytest.raises(UnsupportedModelError, match="Could not locate class 'Trained'") as caught:
        described(keras_models, path)
    assert "save keras.Model(model.inputs, model.outputs)" in caught.value.fix


def test_a_class_that_computes_otherwise_is_not_left_out(keras_models: Worker) -> None:
    path = keras_models.call("save_in_memory", "own_call", returns=Path)
    with pytest.raises(UnsupportedModelError, match="Could not locate class 'Other'"):
        described(keras_models, path)


def test_text_is_refused_with_the_model_behind_it(keras_models: Worker) -> None:
    with pytest.raises(UnsupportedModelError, match="text inputs of Keras models are not supported") as caught:
        described(keras_models, keras_models.call("make", "text", returns=Path))
    starts = "[model.get_layer('age').output, model.get_layer('lookup').output]"
    assert f"keras.Model({starts}, model.outputs)" in caught.value.fix
    info = described(keras_models, keras_models.call("make", "behind_text", returns=Path))
    assert [spec.shape for spec in info.signature.inputs] == [(None, 2), (None, 1)]
    assert info.whole_inputs == (info.signature.inputs[1].name,)


def test_a_layer_of_a_class_of_ones_own_is_named(keras_models: Worker) -> None:
    path = keras_models.call("make", "with_own_class", returns=Path)
    with pytest.raises(UnsupportedModelError, match=r"'Mine' of .* is not among Keras's own layers") as caught:
        described(keras_models, path)
    assert len(caught.value.message) < 200


def test_code_in_a_file_is_not_run(keras_models: Worker) -> None:
    path = keras_models.call("make", "with_lambda", returns=Path)
    with pytest.raises(UnsupportedModelError, match="Lambda") as caught:
        described(keras_models, path)
    assert "nothing of it was run" in caught.value.fix
    assert "safe_mode=False" not in str(caught.value)


def test_a_free_size_is_refused(keras_models: Worker) -> None:
    path = keras_models.call("make", "with_free_size", returns=Path)
    with pytest.raises(UnsupportedModelError, match=r"'x' has the shape \[None, None, 4\]"):
        described(keras_models, path)


def test_a_file_that_is_no_archive(keras_models: Worker, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"no model at all")
    with pytest.raises(InputError, match=r"model\.keras is not a Keras model"):
        described(keras_models, path)


def test_an_archive_that_is_no_model(keras_models: Worker, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(InputError, match=r"model\.weights\.h5 not found in it"):
        described(keras_models, path)


def test_a_truncated_file(keras_models: Worker, many: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(many.read_bytes()[:-100])
    with pytest.raises(InputError, match="is not a Keras model"):
        described(keras_models, path)


def test_a_damaged_file(keras_models: Worker, many: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    data = bytearray(many.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises((InputError, UnsupportedModelError), match=r"model\.keras"):
        described(keras_models, path)


@pytest.mark.parametrize("weights", [b"", b"no weights"])
def test_weights_that_are_none(keras_models: Worker, many: Path, tmp_path: Path, weights: bytes) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(many) as source, zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", source.read("metadata.json"))
        archive.writestr("config.json", source.read("config.json"))
        archive.writestr("model.weights.h5", weights)
    with pytest.raises(InputError, match="is not a valid HDF5 file"):
        described(keras_models, path)


def test_a_config_of_an_unknown_layer(keras_models: Worker, many: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(many) as source, zipfile.ZipFile(path, "w") as archive:
        config = json.loads(source.read("config.json"))
        config["config"]["layers"][-1]["class_name"] = "Telepathy"
        for name in source.namelist():
            archive.writestr(name, json.dumps(config) if name == "config.json" else source.read(name))
    with pytest.raises(UnsupportedModelError, match="Telepathy"):
        described(keras_models, path)
