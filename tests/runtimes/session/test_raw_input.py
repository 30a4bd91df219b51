"""Raw input by path: the same as the content of the file, through the public API."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import edgeml
from edgeml.core.session import Session
from edgeml.preprocessing import Audio, Image, Table
from tests.support.identity_onnx import write_identity_onnx

RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
SOUND = Audio(
    front_end="log-mel", sample_rate=8000, frame_length=256, frame_step=256, fft_size=256, mel_bins=8, low_hz=0.0,
    high_hz=4000.0, log_offset=1e-3, samples=1024,
)  # fmt: skip
COLUMNS = ("sepal length", "sepal width", "petal length", "petal width")
IRIS = load_iris()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    for i, photo in enumerate(PHOTOS):
        (path / f"{i}.ppm").write_bytes(b"P6 7 5 255\n" + photo.tobytes())
    with wave.open(str(path / "clip.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(1024)) * 20000).astype("<i2").tobytes())
    frame = pd.DataFrame(IRIS.data, columns=COLUMNS)
    frame[:60].to_csv(path / "first.csv", index=False)
    frame[60:].to_csv(path / "second.csv", index=False)
    (path / "notes.txt").write_text("no image")
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A model that returns what preprocessing makes of an image."""
    file = write_identity_onnx(tmp_path_factory.mktemp("identity"), "float32", 8, 8, 3)
    x = RNG.random((16, 8, 8, 3), dtype=np.float32)
    return edgeml.build(
        file, evaluation=x, recipes="onnx-fp32", preprocessing=Image(height=8, width=8, scale=1 / 255)
    ).session()


@pytest.fixture(scope="module")
def table() -> Session:
    model = LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target)
    return edgeml.build(
        model, evaluation=(IRIS.data, IRIS.target), recipes="onnx-fp32", preprocessing=Table(columns=COLUMNS)
    ).session()


def test_an_image_by_its_path(images: Session, folder: Path) -> None:
    expected = np.asarray(images.predict(PHOTOS[0], raw=True))
    assert expected.shape == (1, 8, 8, 3)
    for path in (folder / "0.ppm", str(folder / "0.ppm")):
        np.testing.assert_array_equal(np.asarray(images.predict(path, raw=True)), expected)
        np.testing.assert_array_equal(np.asarray(images.predict({"x": path}, raw=True)), expected)
    np.testing.assert_array_equal(images.prepare(folder / "0.ppm", raw=True)["x"], expected)


def test_several_images_by_their_paths(images: Session, folder: Path) -> None:
    paths = [str(folder / f"{i}.ppm") for i in range(3)]
    expected = np.asarray(images.predict([*PHOTOS], raw=True))
    for data in (paths, tuple(paths), [*map(Path, paths)], {"x": paths}):
        np.testing.assert_array_equal(np.asarray(images.predict(data, raw=True)), expected)
    streamed = [np.asarray(item) for item in images.stream(iter(paths), raw=True)]
    np.testing.assert_array_equal(np.concatenate(streamed), expected)


def test_sound_by_its_path(folder: Path) -> None:
    from edgeml.core.tensors import TensorSpec
    from edgeml.preprocessing.audio import prepare

    clips = [(0.5 * np.sin(i * np.arange(1024))).astype(np.float32) for i in range(1, 60)]
    x = prepare(SOUND, clips, TensorSpec("features", (None, 32), "float32"))
    y = np.arange(len(clips)) // 30
    model = LogisticRegression(max_iter=500).fit(x, y)
    package = edgeml.build(model, evaluation=(x, y), recipes="onnx-fp32", preprocessing=SOUND)
    with wave.open(str(folder / "clip.wav")) as file:
        samples = np.frombuffer(file.readframes(1024), "<i2")
    with package.session() as session:
        one = session.classify(str(folder / "clip.wav"), raw=True)
        assert one.tolist() == session.classify(samples, raw=True).tolist()
        assert session.classify([folder / "clip.wav"] * 2, raw=True).tolist() == one.tolist() * 2


def test_tables_by_their_paths(table: Session, folder: Path) -> None:
    expected = table.classify(IRIS.data)
    np.testing.assert_array_equal(table.classify(str(folder / "first.csv"), raw=True), expected[:60])
    both = [folder / "first.csv", folder / "second.csv"]
    np.testing.assert_array_equal(table.classify(both, raw=True), expected)
    np.testing.assert_array_equal(table.classify([*map(str, both)], raw=True), expected)


def test_a_row_of_text_is_not_taken_for_paths() -> None:
    frame = pd.DataFrame({"color": ["red", "blue", "green"] * 10, "size": ["s", "m"] * 15})
    y = (frame["color"] == "red").to_numpy()
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, y)
    declared = {name: Table(columns=(name,)) for name in frame.columns}
    package = edgeml.build(model, evaluation=(frame, y), recipes="onnx-fp32", preprocessing=declared)
    with package.session() as session:
        assert session.classify({"color": ["red", "blue"], "size": ["s", "m"]}, raw=True).tolist() == [True, False]
        assert session.classify([{"color": "blue", "size": "s"}], raw=True).tolist() == [False]


def test_a_path_of_what_is_not_raw_is_refused(images: Session, small_package: edgeml.Package, folder: Path) -> None:
    for path in (folder / "0.ppm", str(folder / "0.ppm")):
        with pytest.raises(edgeml.InputError, match=r"got '.*0\.ppm', expected arrays.*raw=True"):
            images.predict(path)
        with small_package.session("onnx-fp32") as session:
            for call in (session.predict, session.classify, session.top):
                with pytest.raises(edgeml.InputError, match=r"got '.*np\.load"):
                    call(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("missing.ppm", r"missing\.ppm"),
        (["0.ppm", "missing.ppm"], r"missing\.ppm"),
        ({"x": "missing.ppm"}, r"missing\.ppm"),
        ("notes.txt", r"notes\.txt.*an image"),
        ("a\0b.ppm", "raw input: the path .* contains a null character"),
    ],
)
def test_paths_that_do_not_lead_to_images_are_refused(
    images: Session, folder: Path, data: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for call in (images.predict, images.prepare):
        with pytest.raises(edgeml.InputError, match=message):
            call(data, raw=True)
