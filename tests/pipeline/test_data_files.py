"""Files in place of the arguments of build(): the same package as from arrays, and clear errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edgeml
from edgeml.core.errors import InputError
from edgeml.pipeline.data_files import read_calibration, read_evaluation, read_inputs, read_labels

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)
COLUMNS = ["sepal length", "sepal width", "petal length", "petal width"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    np.savez(path / "calibration.npz", x=X[::2])
    np.savez(path / "evaluation.npz", x=X[1::2], y=Y[1::2])
    np.save(path / "x.npy", X[1::2])
    np.save(path / "y.npy", Y[1::2])
    np.savez(path / "two.npz", a=X, b=X, y=Y)
    frame = pd.DataFrame(load_iris().data, columns=COLUMNS)
    frame.assign(species=Y)[1::2].to_csv(path / "held-out.csv", index=False)
    frame.assign(species=Y)[::2].to_csv(path / "calibration.csv", index=False)
    (path / "labels.txt").write_text("setosa\nversicolor\nvirginica\n", encoding="utf-8")
    (path / "labels.json").write_text(json.dumps(["setosa", "versicolor"]), encoding="utf-8")
    (path / "notes.txt").write_text("hello", encoding="utf-8")
    np.savez(path / "empty.npz")
    np.save(path / "objects.npy", np.array([{"a": 1}], dtype=object))
    (path / "damaged.npz").write_bytes((path / "evaluation.npz").read_bytes()[:200])
    return path


def test_paths_give_the_package_that_arrays_give(folder: Path) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X[::2], Y[::2])
    options: dict[str, Any] = {"name": "iris", "recipes": ["tflite-int8"]}
    arrays = edgeml.build(model, calibration=X[::2], evaluation=(X[1::2], Y[1::2]), **options)
    archives = edgeml.build(
        model, calibration=str(folder / "calibration.npz"), evaluation=folder / "evaluation.npz", **options
    )
    pairs = edgeml.build(
        model, calibration=folder / "calibration.npz", evaluation=(folder / "x.npy", folder / "y.npy"), **options
    )
    assert arrays.released == ("tflite-int8",)
    assert arrays.digest() == archives.digest() == pairs.digest()


def test_a_csv_file_gives_the_package_that_a_frame_gives(folder: Path) -> None:
    frame = pd.DataFrame(load_iris().data, columns=COLUMNS)
    model = LogisticRegression(max_iter=500).fit(frame[::2], Y[::2])
    options: dict[str, Any] = {"name": "iris", "recipes": "onnx-fp32"}
    frames = edgeml.build(model, calibration=frame[::2], evaluation=(frame[1::2], Y[1::2]), **options)
    files = edgeml.build(
        model,
        calibration=str(folder / "calibration.csv"),
        evaluation=(str(folder / "held-out.csv"), "species"),
        **options,
    )
    assert files.manifest.data.labelled
    assert files.manifest.artifacts[0].evaluation == frames.manifest.artifacts[0].evaluation
    assert files.manifest.data.calibration_samples == 75


def test_labels_are_read_from_a_text_or_json_file(folder: Path) -> None:
    assert read_labels(folder / "labels.txt") == ["setosa", "versicolor", "virginica"]
    assert read_labels(str(folder / "labels.json")) == ["setosa", "versicolor"]
    assert read_labels(["a", "b"]) == ["a", "b"]
    assert read_labels(None) is None


@pytest.mark.slow
def test_labels_of_a_file_are_those_of_the_sessions(net_file: Path, tmp_path: Path) -> None:
    names = [f"digit {i}" for i in range(10)]
    (tmp_path / "labels.txt").write_text("\n".join(names), encoding="utf-8")
    package = edgeml.build(str(net_file), labels=tmp_path / "labels.txt", recipes="onnx-fp32")
    with package.session("onnx-fp32") as session:
        assert session.labels == tuple(names)


def test_inputs_of_several_arrays_are_read_by_name(folder: Path) -> None:
    inputs = read_inputs(folder / "two.npz", "calibration")
    assert isinstance(inputs, dict)
    assert set(inputs) == {"a", "b"}
    found = read_evaluation(folder / "two.npz")
    assert isinstance(found, tuple)
    assert set(found[0]) == {"a", "b"}
    np.testing.assert_array_equal(found[1], Y)
    assert read_inputs(X, "calibration") is X
    mixed = read_inputs({"a": str(folder / "x.npy"), "b": X}, "calibration")
    assert isinstance(mixed, dict)
    assert mixed["b"] is X
    np.testing.assert_array_equal(mixed["a"], X[1::2])
    np.testing.assert_array_equal(np.asarray(read_calibration((folder / "x.npy", folder / "y.npy"), None)), X[1::2])
    assert read_calibration(None, None) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.npz", r"missing\.npz"),
        ("missing.csv", r"missing\.csv"),
        ("missing.txt", r"missing\.txt"),
        ("notes.txt", r"evaluation: got the file notes\.txt, expected \.npy, \.npz or \.csv"),
        ("empty.npz", r"evaluation: empty\.npz does not contain arrays"),
        ("objects.npy", r"evaluation: objects\.npy does not contain arrays of numbers or text"),
        ("damaged.npz", r"evaluation: damaged\.npz does not contain arrays of numbers or text"),
        ("a\0b.npz", "evaluation: the path .* contains a null character"),
    ],
)
def test_files_that_are_not_data_are_refused(folder: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        edgeml.build("model.keras", evaluation=str(folder / name))


def test_a_column_that_does_not_exist_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"held-out\.csv.*kind"):
        read_evaluation((str(folder / "held-out.csv"), "kind"))


def test_a_file_of_several_arrays_is_not_the_truth(folder: Path) -> None:
    np.savez(folder / "ab.npz", a=Y, b=Y)
    with pytest.raises(InputError, match="got the arrays a, b as y"):
        read_evaluation((X, folder / "ab.npz"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.txt", r"missing\.txt"),
        ("calibration.npz", r"labels: calibration\.npz is not a text in UTF-8"),
        ("objects.json", r"labels: objects\.json is not a JSON list of texts"),
    ],
)
def test_files_that_are_not_labels_are_refused(folder: Path, name: str, message: str) -> None:
    (folder / "objects.json").write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_labels(folder / name)
