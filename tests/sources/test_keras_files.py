"""Keras files and folders of both generations, recognized by their contents and without TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import edgeml
from edgeml.core.errors import EdgemlError, InputError, UnsupportedModelError
from edgeml.core.source import SourceInfo
from edgeml.core.system.worker import Worker
from edgeml.sources.keras_files import keras_generation

SAMPLES = np.random.default_rng(0).random((40, 16), dtype=np.float32)


def rezipped(source: Path, path: Path, **entries: bytes | None) -> Path:
    """A copy of an archive with other contents of some entries, by their names without suffix; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = entries.get(name.partition(".")[0], old.read(name))
            if data is not None:
                new.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def keras_3_h5(keras_models: Worker) -> Path:
    return keras_models.call("make_in_form", "sigmoid", "h5", returns=Path)


@pytest.fixture
def keras_2_archive(legacy_models: Worker) -> Path:
    return legacy_models.call("make", "sigmoid", ".keras", returns=Path)


def test_the_generation_is_read_from_the_file(keras_models: Worker, keras_3_h5: Path) -> None:
    assert keras_generation(keras_models.call("make", "sigmoid", returns=Path)) == 3
    assert keras_generation(keras_3_h5) == 3


@pytest.mark.slow
def test_the_generation_of_keras_2_is_read_from_the_file(legacy_models: Worker, tmp_path: Path) -> None:
    for suffix in (".h5", ".keras", ""):
        assert keras_generation(legacy_models.call("make", "sigmoid", suffix, returns=Path)) == 2
    renamed = tmp_path / "model.keras"  # as Keras before 2.12 wrote it: HDF5 under this suffix
    renamed.write_bytes(legacy_models.call("make", "sigmoid", ".h5", returns=Path).read_bytes())
    assert keras_generation(renamed) == 2


def test_a_model_is_refused_before_tensorflow_is_loaded(keras_models: Worker, keras_3_h5: Path, tmp_path: Path) -> None:
    """In a process of its own: TensorFlow alone takes several seconds."""
    paths = [
        keras_models.call("make_in_form", "sigmoid", "weights", returns=Path),
        keras_models.call("make_in_form", "sigmoid", "export", returns=Path),
        change_attributes(tmp_path / "model.h5", keras_3_h5, keras_version="4.0"),
        rezipped(
            keras_models.call("make", "sigmoid", returns=Path),
            tmp_path / "model.keras",
            metadata=b'{"keras_version": "4.0"}',
        ),
    ]
    code = """
import sys
from pathlib import Path
from edgeml.core.errors import EdgemlError
from edgeml.sources.keras import open_source
for path in sys.argv[1:]:
    try:
        open_source(Path(path))
    except EdgemlError:
        print("refused")
print(sorted({"tensorflow", "keras", "tf_keras"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused"] * len(paths) + ["[]"]


def test_an_h5_file_of_keras_3_is_the_model_that_it_was_saved_from(keras_models: Worker, keras_3_h5: Path) -> None:
    info = keras_models.call("describe", keras_3_h5, returns=SourceInfo)
    assert info.framework == "keras"
    reference = keras_models.call("reference", keras_3_h5, {"x": SAMPLES}, returns=dict[str, np.ndarray])
    expected = keras_models.call("answers", keras_3_h5, [SAMPLES], returns=list[np.ndarray])
    np.testing.assert_allclose(next(iter(reference.values())), expected[0], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_keras_file_of_keras_2_is_the_model_that_it_was_saved_from(
    legacy_models: Worker, keras_2_archive: Path
) -> None:
    package = edgeml.build(keras_2_archive, evaluation=SAMPLES, recipes=["onnx-fp32"])
    assert package.released == ("onnx-fp32",)
    assert package.manifest.source.framework == "tf_keras"
    expected = legacy_models.call("answers", keras_2_archive, [SAMPLES], returns=list[np.ndarray])
    outputs = np.asarray(package.session("onnx-fp32").predict(SAMPLES))
    np.testing.assert_allclose(outputs, expected[0], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_keras_file_of_tensorflow_2_13_to_2_15(legacy_models: Worker, keras_2_archive: Path, tmp_path: Path) -> None:
    """There the package of Keras 2 was called keras, not tf_keras."""
    with zipfile.ZipFile(legacy_models.call("make", "nested", ".keras", returns=Path)) as archive:
        config = archive.read("config.json").replace(b'"tf_keras.', b'"keras.')
    assert b"keras.src.engine.functional" in config
    path = rezipped(
        legacy_models.call("make", "nested", ".keras", returns=Path),
        tmp_path / "model.keras",
        config=config,
        metadata=json.dumps({"keras_version": "2.15.0"}).encode(),
    )
    assert edgeml.build(path, recipes=["onnx-fp32"]).released == ("onnx-fp32",)


def change_attributes(path: Path, source: Path, **attributes: Any) -> Path:
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        for name, value in attributes.items():
            if value is None:
                del file.attrs[name]
            else:
                file.attrs[name] = value
    return path


def test_weights_without_a_model(keras_models: Worker, keras_3_h5: Path, tmp_path: Path) -> None:
    weights = keras_models.call("make_in_form", "sigmoid", "weights", returns=Path)
    with pytest.raises(InputError, match="holds only the weights of a Keras model") as caught:
        keras_generation(weights)
    assert "model.save('model.keras')" in caught.value.fix
    older = change_attributes(tmp_path / "older.h5", keras_3_h5, model_config=None, layer_names=["dense"])
    with pytest.raises(InputError, match="holds only the weights of a Keras model"):
        keras_generation(older)


def test_hdf5_data_that_is_not_keras(tmp_path: Path) -> None:
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["table"] = np.zeros(3)
    with pytest.raises(InputError, match=r"data\.h5 is an HDF5 file without a Keras model: the attribute"):
        keras_generation(path)


@pytest.mark.parametrize(
    ("attributes", "error", "message"),
    [
        ({"keras_version": "4.0.0"}, UnsupportedModelError, r"saved by Keras 4\.0\.0; supported are Keras 2 and 3"),
        ({"keras_version": "latest"}, InputError, "'latest' is not a version number"),
        ({"keras_version": "9" * 5000}, InputError, "is not a version number"),
        (
            {"keras_version": "2.2.4", "backend": "theano"},
            UnsupportedModelError,
            r"by Keras 2\.2\.4 with the backend 'theano', which is not supported",
        ),
        ({"model_config": np.arange(3)}, InputError, "without a Keras model"),
        ({"model_config": h5py.Empty("f4")}, InputError, "without a Keras model"),
        ({"keras_version": b"2.\xff\xfe"}, InputError, "is not a version number"),
    ],
)
def test_attributes_that_are_odd(
    keras_3_h5: Path, tmp_path: Path, attributes: dict[str, Any], error: type[EdgemlError], message: str
) -> None:
    path = change_attributes(tmp_path / "model.h5", keras_3_h5, **attributes)
    with pytest.raises(error, match=message):
        edgeml.build(path)


def test_an_attribute_that_is_larger_than_the_file(keras_3_h5: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(keras_3_h5.read_bytes())
    with h5py.File(path, "r+") as file:
        del file.attrs["keras_version"]
        file.attrs.create("keras_version", np.bytes_(b"3"), dtype="S60000")
        size = path.stat().st_size
    data = path.read_bytes()
    # The type's size, 4 bytes before the name's padding: declare 2 GiB in its place.
    path.write_bytes(data.replace((60000).to_bytes(4, "little"), (2**31 - 1).to_bytes(4, "little")))
    assert size < 2**20
    with pytest.raises(InputError, match=r"model\.h5 is (corrupt|not a valid HDF5 file)"):
        keras_generation(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', "[" * 100_000])
def test_a_configuration_that_is_not_an_object(keras_3_h5: Path, tmp_path: Path, text: str) -> None:
    path = change_attributes(tmp_path / "model.h5", keras_3_h5, model_config=text)
    with pytest.raises(InputError, match="the model's configuration is not"):
        edgeml.build(path)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["keras 3 h5", "keras 2 archive"])
def test_layers_larger_than_the_file(
    request: pytest.FixtureRequest, keras_3_h5: Path, tmp_path: Path, form: str
) -> None:
    if form == "keras 3 h5":
        with h5py.File(keras_3_h5) as file:
            config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"]["units"] = 2**33
        path = change_attributes(tmp_path / "model.h5", keras_3_h5, model_config=json.dumps(config))
    else:
        source = request.getfixturevalue("keras_2_archive")
        with zipfile.ZipFile(source) as archive:
            config = json.loads(archive.read("config.json"))
        config["config"]["layers"][-1]["config"]["units"] = 2**33
        path = rezipped(source, tmp_path / "model.keras", config=json.dumps(config).encode())
    with pytest.raises(InputError, match=r"layers ask for \d+ weights, but the file holds"):
        edgeml.build(path)


def test_code_in_an_h5_file_of_keras_3_is_not_run(keras_models: Worker) -> None:
    path = keras_models.call("make_in_form", "with_lambda", "h5", returns=Path)
    with pytest.raises(UnsupportedModelError, match="a Lambda layer, which is code"):
        edgeml.build(path)


@pytest.mark.slow
def test_code_in_a_keras_file_of_keras_2_is_not_run(legacy_models: Worker) -> None:
    path = legacy_models.call("make", "with_lambda", ".keras", returns=Path)
    with pytest.raises(UnsupportedModelError, match="a Lambda layer, which is code"):
        edgeml.build(path)


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        (b'{"keras_version": "5.1"}', UnsupportedModelError, r"saved by Keras 5\.1; supported are Keras 2 and 3"),
        (b'{"keras_version": null}', InputError, "'None' is not a version number"),
        (b"[]", InputError, "'' is not a version number"),
        (b"{", InputError, "is not a Keras model"),
        (b" " * (2**20 + 1), InputError, r"metadata\.json is larger than 1048576 bytes"),
    ],
)
def test_metadata_that_are_odd(
    keras_models: Worker, tmp_path: Path, metadata: bytes, error: type[EdgemlError], message: str
) -> None:
    source = keras_models.call("make", "sigmoid", returns=Path)
    path = rezipped(source, tmp_path / "model.keras", metadata=metadata)
    with pytest.raises(error, match=message):
        keras_generation(path)


def test_an_archive_without_metadata_is_of_keras_3(keras_models: Worker, tmp_path: Path) -> None:
    source = keras_models.call("make", "sigmoid", returns=Path)
    assert keras_generation(rezipped(source, tmp_path / "model.keras", metadata=None)) == 3


def test_contents_that_contradict_the_suffix(keras_models: Worker, tmp_path: Path) -> None:
    archive = keras_models.call("make", "sigmoid", returns=Path).read_bytes()
    path = tmp_path / "model.h5"
    path.write_bytes(archive)
    with pytest.raises(InputError, match=r"model\.h5 is not an HDF5 file: its contents are a ZIP archive") as caught:
        edgeml.build(path)
    assert "rename it to model.keras" in caught.value.fix
    path = tmp_path / "model.keras"
    path.write_bytes(archive[:-100])
    with pytest.raises(InputError, match="the ZIP archive is truncated or corrupt"):
        edgeml.build(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.keras", "MODEL.KERAS", "model.h5"])
def test_the_audit_reads_what_keras_loads(
    legacy_models: Worker, keras_2_archive: Path, tmp_path: Path, name: str
) -> None:
    """A file that is HDF5 with code in it, and by its end a sound archive: Keras decides by the suffix and its case."""
    path = tmp_path / name
    code = legacy_models.call("make", "with_lambda", ".h5", returns=Path)
    path.write_bytes(code.read_bytes() + keras_2_archive.read_bytes())
    assert zipfile.is_zipfile(path)
    assert h5py.is_hdf5(path)
    if name == "model.keras":
        assert edgeml.build(path, recipes=["onnx-fp32"]).released == ("onnx-fp32",)  # the archive
    else:
        with pytest.raises(UnsupportedModelError, match="a Lambda layer, which is code"):
            edgeml.build(path)


def exported(models: Worker) -> Path:
    return models.call("make_in_form", "sigmoid", "export", returns=Path)


def unzipped(models: Worker) -> Path:
    return models.call("make_in_form", "sigmoid", "unzipped", returns=Path)


@pytest.mark.parametrize(
    ("make", "error", "message", "fix"),
    [
        (exported, UnsupportedModelError, "is a SavedModel without a Keras model in it, as model.export()", "tf2onnx"),
        (unzipped, InputError, "is a Keras model that was saved as a folder", "zipped=False"),
    ],
)
def test_folders_of_keras_3(
    keras_models: Worker, make: Callable[[Worker], Path], error: type[EdgemlError], message: str, fix: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        edgeml.build(make(keras_models))
    assert fix in caught.value.fix
    assert "model.save('model.keras')" in caught.value.fix


@pytest.mark.slow
def test_folders_of_tensorflow(legacy_models: Worker) -> None:
    with pytest.raises(UnsupportedModelError, match=r"module is a SavedModel without a Keras model in it"):
        edgeml.build(legacy_models.call("module", returns=Path))
    with pytest.raises(InputError, match="is a TensorFlow checkpoint: it holds weights without a model"):
        edgeml.build(legacy_models.call("checkpoint", returns=Path))


@pytest.mark.parametrize(
    "data", [b"no model at all", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x12\x80", b"\xff" * 30]
)
def test_a_saved_model_that_is_corrupt(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(data)
    with pytest.raises(InputError, match=r"is corrupt: saved_model\.pb cannot be parsed"):
        edgeml.build(tmp_path)
