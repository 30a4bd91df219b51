from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from sklearn.datasets import load_digits

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Image
from edgeml.trainers import Digits, Idx, Images, Npz
from edgeml.trainers.dataset import read_dataset
from tests.support.processes import repository


def idx(array: np.ndarray, *, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)


def refused(data: Any, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_dataset(data)
    for word in words:
        assert word in str(caught.value)


def test_digits() -> None:
    x, y = load_digits(return_X_y=True)
    data = read_dataset(Digits())
    assert data.target is not None
    np.testing.assert_array_equal(np.asarray(data.inputs).reshape(1797, 64), (x / 16).astype(np.float32))
    assert (data.target == y).all()
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    named = read_dataset(Digits(classes=names))
    assert named.target is not None
    assert named.target[:3].tolist() == ["zero", "one", "two"]
    assert data.digest == read_dataset(Digits()).digest != named.digest
    refused(Digits(classes=names[:9]), "from 0 to 9", "9 different names")
    refused(Digits(classes=(*names, "ten")), "no sample is of class 'ten'")


def test_npz(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.npz", np.random.default_rng(0)
    x = rng.normal(size=(10, 3))
    for y, task in (
        (np.arange(10) % 2, "classification"), (np.array(["a", "b"] * 5), "classification"),
        (rng.normal(size=10), "regression"), (rng.normal(size=(10, 2)), "regression"),
    ):  # fmt: skip
        np.savez(path, x=x, y=y)
        data = read_dataset(Npz(path=path))
        assert data.task == task
        assert data.target is not None
        assert (data.target == y).all()
        np.testing.assert_array_equal(np.asarray(data.inputs), x.astype(np.float32))
    np.savez(path, x=x)
    assert read_dataset(Npz(path=path)).target is None


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.ones((3, 2))}, ["expected an array 'x', got a"]),
        ({"x": np.ones((3, 2)), "y": np.ones(4)}, ["y is [4]", "each of 3 samples"]),
        ({"x": np.ones((0, 2))}, ["at least one sample"]),
        ({"x": np.ones(3)}, ["expected numbers [samples, ...]"]),
        ({"x": np.array([["a"]])}, ["expected numbers"]),
        ({"x": np.array([[1.0], [np.nan]])}, ["sample 1", "NaN"]),
        ({"x": np.array([[1e300]])}, ["float32 cannot hold"]),
        ({"x": np.ones((2, 1)), "y": np.array([1.0, np.inf])}, ["NaN or infinity"]),
        ({"x": np.array([[{}]], dtype=object)}, ["does not contain arrays of numbers", "could run code"]),
        ({"x": np.ones((2, 1)), "y": np.array([{}, {}], dtype=object)}, ["does not contain arrays of numbers"]),
    ],
)
def test_npz_of_other_things(arrays: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    refused(Npz(path=tmp_path / "a.npz"), "a.npz", *words)


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    refused(Npz(path=tmp_path / "absent.npz"), "file not found")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no archive")
    refused(Npz(path=tmp_path / "a.npz"), "does not contain arrays of numbers")
    np.savez(tmp_path / "a.npz", x=np.ones((2, 1)), y=np.ones(2))
    refused(Npz(path=tmp_path / "a.npz", classes=("a",)), "'classes' only applies to labels of whole numbers")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(suffix: str, pixels: np.ndarray, tmp_path: Path) -> None:
    packed = gzip.compress if suffix else bytes
    images, labels = tmp_path / f"images{suffix}", tmp_path / f"labels{suffix}"
    images.write_bytes(packed(idx(pixels)))
    labels.write_bytes(packed(idx(np.array([0, 1, 2, 0, 1, 2], np.uint8))))
    data = read_dataset(Idx(images=images, labels=labels, classes=("a", "b", "c")))
    assert data.target is not None
    assert data.target.tolist() == ["a", "b", "c"] * 2
    np.testing.assert_array_equal(np.asarray(data.inputs), pixels[..., None] * np.float32(1 / 255))
    assert data.image == Image(height=5, width=4, colour="gray", resize="area", scale=1 / 255)


def test_idx_of_other_things(pixels: np.ndarray, tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    data, good = Idx(images=images, labels=labels), idx(pixels)
    labels.write_bytes(idx(np.arange(6, dtype=np.uint8)))
    refused(data, "images: file not found")
    for content, word in (
        (good[:-1], "120 bytes"), (good + b"\0", "121 follow"), (b"\0\0\x08", "not an IDX file"),
        (b"\x89PNG" + good, "not an IDX file"), (idx(pixels, kind=13), "type 0x0d"), (good[:9], "and 0 follow"),
        (idx(pixels[0]), "in 2 dimensions, expected bytes (0x08) in 3"), (idx(pixels[:0]), "images is empty"),
        (idx(pixels[:5]), "images has 5 images, labels has 6 labels"),
    ):  # fmt: skip
        images.write_bytes(content)
        if word.endswith("is empty"):
            labels.write_bytes(idx(np.empty(0, np.uint8)))
        refused(data, word.replace("120 bytes", "the header says 6 × 5 × 4 bytes, and 119 follow"))
        labels.write_bytes(idx(np.arange(6, dtype=np.uint8)))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(good)[:-20])
    refused(Idx(images=tmp_path / "cut.gz", labels=labels), "cut.gz cannot be decompressed")


def test_mnist() -> None:
    folder = repository().parent / "shared" / "mnist"
    if not folder.exists():
        pytest.skip("../shared/mnist is absent")
    data = read_dataset(Idx(images=folder / "t10k-images-idx3-ubyte.gz", labels=folder / "t10k-labels-idx1-ubyte.gz"))
    assert data.target is not None
    assert np.asarray(data.inputs).shape == (10000, 28, 28, 1)
    # As http://yann.lecun.com/exdb/mnist counts the digits of its test set.
    assert np.bincount(data.target).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, with a PNG of 6 × 4, a JPEG and a PPM of 6 × 4 in each."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for suffix in ("png", "jpg", "ppm"):
            image = Pillow.fromarray(rng.integers(0, 256, (6, 4, 3), dtype=np.uint8))
            image.save(tmp_path / name / f"{suffix}.{suffix}")
    return tmp_path


def test_images(folder: Path) -> None:
    data = read_dataset(Images(path=folder))
    assert data.target is not None
    assert data.target.tolist() == ["cat"] * 3 + ["dog"] * 3
    assert np.asarray(data.inputs).shape == (6, 6, 4, 3)
    for place, file in ((0, "cat/jpg.jpg"), (4, "dog/png.png"), (5, "dog/ppm.ppm")):
        pixels = np.asarray(Pillow.open(folder / file), dtype=np.float32)
        np.testing.assert_allclose(np.asarray(data.inputs)[place], pixels / 255, atol=1e-7)
    small = read_dataset(Images(path=folder, height=3, width=2, colour="gray"))
    gray = np.asarray(Pillow.open(folder / "cat" / "png.png").convert("L"), dtype=np.float32)
    np.testing.assert_allclose(
        np.asarray(small.inputs)[1, ..., 0], gray.reshape(3, 2, 2, 2).mean(axis=(1, 3)) / 255, atol=1e-6
    )
    assert small.image == Image(height=3, width=2, colour="gray", resize="area", scale=1 / 255)


def test_images_that_are_none_or_differ(folder: Path, tmp_path: Path) -> None:
    refused(Images(path=folder, height=3), "both height and width")
    refused(Images(path=folder / "absent"), "folder not found")
    refused(Images(path=folder / "cat"), "0 folders", "at least two")
    Pillow.new("RGB", (9, 9)).save(folder / "dog" / "big.png")
    refused(Images(path=folder), "dog/big.png is 9 × 9, cat/jpg.jpg is 6 × 4", "data.height")
    (folder / "dog" / "big.png").write_bytes(b"\x89PNG\r\n no image")
    refused(Images(path=folder), "big.png cannot be read as an image")
    (folder / "dog" / "big.png").rename(folder / "dog" / "notes.txt")
    refused(Images(path=folder), "dog/notes.txt: unsupported file type '.txt'; expected .png")
    (folder / "dog" / "notes.txt").unlink()
    (folder / "fish").mkdir()
    refused(Images(path=folder), "fish is empty")
