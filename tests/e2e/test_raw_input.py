"""Declarations of raw input: given at build, kept, shown, applied by sessions and commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import edgeml
from edgeml.core.errors import InputError, PackageError
from edgeml.demo.digits import Digits
from edgeml.package import diff_packages
from edgeml.pipeline.raw_inputs import resolve_declarations
from edgeml.preprocessing import Audio, Image, Table
from tests.support.forging import forged

RECIPES = ["tflite-int8", "onnx-fp32"]
GRAY = Image(height=8, width=8, colour="gray", resize="area", scale=1 / 255)
COLUMNS = ("sepal length", "sepal width", "petal length", "petal width")
IRIS = load_iris()


@pytest.fixture(scope="module")
def net(net_file: Path, digits: Digits) -> edgeml.Package:
    return edgeml.build(
        net_file, name="digits-net", calibration=digits.calibration, recipes=RECIPES, preprocessing=GRAY,
        evaluation=(digits.evaluation, digits.evaluation_labels),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(net: edgeml.Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw")
    net.save(path / "net.edgeml")
    return path


@pytest.fixture(scope="module")
def table() -> edgeml.Package:
    model = LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target)
    return edgeml.build(
        model, name="iris", evaluation=(IRIS.data, IRIS.target), recipes=["onnx-fp32"],
        preprocessing={"features": Table(columns=COLUMNS)},
    )  # fmt: skip


def enlarged(images: np.ndarray, times: int) -> list[np.ndarray]:
    """Images ``[samples, 8, 8, 1]`` of 0 to 1 as uint8 colour images of another size."""
    pixels = (images[..., 0] * 255).round().astype(np.uint8)
    return [np.kron(image, np.ones((times, times), np.uint8))[..., None].repeat(3, 2) for image in pixels]


@pytest.mark.parametrize("recipe", RECIPES)
def test_images_of_any_size_get_the_labels_of_the_arrays(net: edgeml.Package, digits: Digits, recipe: str) -> None:
    session = net.session(recipe)
    images = digits.evaluation[:100]
    photos = [photo for times in (1, 5) for photo in enlarged(images[50 * (times > 1) :][:50], times)]
    np.testing.assert_array_equal(session.classify(photos, raw=True), session.classify(images))
    # Pixels are rounded to bytes, which moves an int8 input by a step now and then.
    np.testing.assert_allclose(
        np.asarray(session.predict(photos, raw=True)), np.asarray(session.predict(images)), atol=0.05
    )
    assert session.classify(photos[0], raw=True).tolist() == session.classify(images[:1]).tolist()
    named = np.asarray(session.predict({"image": photos[0]}, raw=True))
    np.testing.assert_array_equal(named, np.asarray(session.predict(photos[0], raw=True)))


def test_rows_get_the_labels_of_the_estimator(table: edgeml.Package) -> None:
    session = table.session("onnx-fp32")
    rows = [dict(zip(COLUMNS, row, strict=True)) | {"place": "x"} for row in IRIS.data.tolist()]
    reference = session.classify(IRIS.data)
    np.testing.assert_array_equal(session.classify(rows, raw=True), reference)
    columns = {name: IRIS.data[:, i] for i, name in reversed(list(enumerate(COLUMNS)))}
    np.testing.assert_array_equal(session.classify(columns, raw=True), reference)
    with pytest.raises(InputError, match="columns are missing: petal width"):
        session.predict([dict.fromkeys(COLUMNS[:3], 1)], raw=True)


def test_the_manifest_keeps_it(net: edgeml.Package, folder: Path) -> None:
    manifest = edgeml.open_package(folder / "net.edgeml").manifest
    assert manifest.preprocessing == {"image": GRAY} == net.manifest.preprocessing


def test_without_a_declaration(small_package: edgeml.Package) -> None:
    with pytest.raises(InputError, match=r"does not declare.*build the package with preprocessing"):
        small_package.session("onnx-fp32").classify([[1, 2, 3, 4]], raw=True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Image(height=8, width=8), r"input 'image': produces shape \[8, 8, 3\].*expects \[8, 8, 1\]"),
        (Table(columns=("a",)), "input 'image': produces shape"),
        ({"photo": GRAY}, "unknown input 'photo'; the model's inputs are image"),
        ({"image": {"kind": "image"}}, "input 'image'.*height"),
        ({"image": None}, "input 'image'"),
        (Image(height=8, width=8, colour="gray", std=(0.0,)), "std or scale is 0"),
        ("image.toml", "input 'image'"),
    ],
)
def test_declarations_that_do_not_fit(given: Any, words: str, net: edgeml.Package) -> None:
    with pytest.raises(InputError, match=f"preprocessing.*{words}"):
        resolve_declarations(given, net.manifest.source)


@pytest.mark.slow
def test_a_declaration_that_does_not_fit_is_refused_before_any_work(net_file: Path) -> None:
    with pytest.raises(InputError, match=r"preprocessing.*produces shape"):
        edgeml.build(net_file, preprocessing=Image(height=8, width=8))


@pytest.mark.parametrize(
    "change",
    [
        {"height": 9}, {"height": 0}, {"kind": "smell"}, {"scale": 0.0}, {"std": [0.0]}, {"more": 1},
        {"resize": "bilinear"},  # a default is left out
    ],
)  # fmt: skip
def test_forged_declarations_are_no_sound_package(folder: Path, change: dict[str, Any], tmp_path: Path) -> None:
    data = (folder / "net.edgeml").read_bytes()
    path = tmp_path / "x.edgeml"
    path.write_bytes(forged(data, lambda manifest, contents: manifest["preprocessing"]["image"].update(change)))
    with pytest.raises(PackageError):
        edgeml.open_package(path)
    renamed = forged(data, lambda manifest, _: manifest.update(preprocessing={"x": manifest["preprocessing"]["image"]}))
    path.write_bytes(renamed)
    with pytest.raises(PackageError, match="preprocessing of input 'x' is invalid: the model does not have this input"):
        edgeml.open_package(path)


def test_another_declaration_is_not_compatible(net: edgeml.Package, small_package: edgeml.Package) -> None:
    import msgspec

    contents = {name: net.read(name) for name in net.manifest.files}

    def declaring(declared: Image | None) -> edgeml.Package:
        manifest = msgspec.structs.replace(net.manifest, preprocessing={"image": declared} if declared else {})
        return edgeml.Package.of(manifest, contents)

    found = diff_packages(net, declaring(Image(height=8, width=8, colour="gray", resize="area", scale=1 / 256)))
    assert found.reasons == ("The preprocessing of image changed.",)
    assert found.preprocessing[0].what == "preprocessing of image"
    assert diff_packages(net, declaring(None)).reasons == ("The preprocessing of image changed.",)
    assert diff_packages(declaring(None), net).compatible


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgeml", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_commands(net_file: Path, net: edgeml.Package, digits: Digits, folder: Path) -> None:
    (folder / "image.toml").write_text(
        "[image]\nkind = 'image'\nheight = 8\nwidth = 8\ncolour = 'gray'\nresize = 'area'\n"
        "scale = 0.00392156862745098\n"
    )
    done = command(
        "build", net_file, "-o", "mine.edgeml", "--recipe", "onnx-fp32", "--preprocessing", "image.toml", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert edgeml.open_package(folder / "mine.edgeml").manifest.preprocessing == {"image": GRAY}
    shown = command("inspect", "mine.edgeml", cwd=folder).stdout
    assert "raw       image: image 8 × 8 gray, NHWC, area; (pixel × 0.00392157 − 0) / 1\n" in shown
    photo = enlarged(digits.evaluation[:1], 12)[0]
    (folder / "digit.ppm").write_bytes(b"P6 96 96 255\n" + photo.tobytes())
    done = command(
        "predict", "net.edgeml", "digit.ppm", "-o", "out.npz", "--artifact", "onnx-fp32", "--json", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["samples"] == 1
    expected = net.session("onnx-fp32").classify(digits.evaluation[:1])
    assert np.load(folder / "out.npz")["labels"].tolist() == expected.tolist()


def test_a_table_by_command(table: edgeml.Package, tmp_path: Path) -> None:
    table.save(tmp_path / "iris.edgeml")
    lines = [",".join((*COLUMNS[::-1], "species")), *(",".join(map(str, [*row[::-1], "?"])) for row in IRIS.data)]
    (tmp_path / "x.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    done = command("predict", "iris.edgeml", "x.csv", "-o", "out.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(
        np.load(tmp_path / "out.npz")["labels"], table.session("onnx-fp32").classify(IRIS.data)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.wav", b"", "declares input 'image' to be an image"),
        ("x.csv", b"", "declares input 'image' to be an image"),
        ("x.ppm", b"P6", "expected a binary PPM"),
        ("absent.ppm", None, "file not found"),
    ],
)
def test_files_that_the_package_does_not_take(name: str, data: bytes | None, words: str, folder: Path) -> None:
    if data is not None:
        (folder / name).write_bytes(data)
    done = command("predict", "net.edgeml", name, "-o", "no.npz", cwd=folder)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "no.npz").exists()


def test_a_raw_file_for_a_package_without_a_declaration(small_package_file: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    done = command("predict", small_package_file, "x.csv", "-o", "out.npz", cwd=tmp_path)
    assert done.returncode == 2
    assert "does not declare how to make input 'features' from a file" in done.stderr
    assert "--preprocessing" in done.stderr


@pytest.mark.slow
def test_sound_by_command_and_session(tmp_path: Path) -> None:
    """A linear model on the mean log-mel bins: what a clip holds decides, whichever way it comes in."""
    import wave

    import msgspec

    declared = Audio(
        front_end="log-mel", sample_rate=8000, frame_length=256, frame_step=256, fft_size=256, mel_bins=8, low_hz=0.0,
        high_hz=4000.0, log_offset=1e-3, samples=1024,
    )  # fmt: skip
    times = np.arange(1024) / 8000
    clips = [(0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32) for hertz in range(200, 3800, 30)]
    from edgeml.core.tensors import TensorSpec
    from edgeml.preprocessing.audio import prepare

    x = prepare(declared, clips, TensorSpec("features", (None, 32), "float32"))
    y = np.arange(len(clips)) // (len(clips) // 2)
    package = edgeml.build(
        LogisticRegression(max_iter=500).fit(x, y), name="tones", evaluation=(x, y), recipes=["onnx-fp32"],
        preprocessing=declared,
    )  # fmt: skip
    assert package.manifest.preprocessing == {"features": msgspec.convert(msgspec.to_builtins(declared), Audio)}
    session = package.session("onnx-fp32")
    np.testing.assert_array_equal(session.classify(clips, raw=True), session.classify(x))
    samples = (clips[-1] * 32767).round().astype("<i2")
    with wave.open(str(tmp_path / "high.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    package.save(tmp_path / "tones.edgeml")
    done = command("predict", "tones.edgeml", "high.wav", "-o", "out.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "out.npz")["labels"].tolist() == [1]
