"""Packages in which every digest holds, and something else does not."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import EdgemlError, PackageError, VerificationError
from edgeml.package.archive import pack
from tests.support.forging import contents_of, forged, manifest_text, with_manifest

INPUTS = "golden/input.features.npy"
SCORES = "golden/tflite-fp32.xnnpack.scores.npy"


@pytest.fixture(scope="module")
def data(small_package_file: Path) -> bytes:
    return small_package_file.read_bytes()


def saved(data: bytes, folder: Path) -> Path:
    path = folder / "forged.edgeml"
    path.write_bytes(data)
    return path


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def bomb(shape: str, body: bytes = b"", descr: str = "<f4") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + body


def test_a_forgery_of_nothing_is_the_package(data: bytes) -> None:
    assert forged(data, lambda manifest, contents: None) == data


def test_another_manifest_under_the_same_entries_opens_and_differs(data: bytes, tmp_path: Path) -> None:
    """A digest of the whole file, known from elsewhere, is what tells who made a package."""
    other = forged(data, lambda manifest, contents: manifest.update(author="somebody else"))
    package = edgeml.open_package(saved(other, tmp_path))
    assert package.verify().digest == f"sha256:{hashlib.sha256(other).hexdigest()}"
    with pytest.raises(VerificationError, match="expected sha256"):
        package.verify(digest=f"sha256:{hashlib.sha256(data).hexdigest()}")


@pytest.mark.parametrize("where", ["source", "artifacts"])
def test_gaps_in_columns_that_are_not_there(data: bytes, where: str, tmp_path: Path) -> None:
    def change(manifest: dict[str, Any], contents: dict[str, bytes]) -> None:
        record = manifest["source"] if where == "source" else manifest["artifacts"][0]
        record["signature"]["inputs"][0]["gaps"] = [0, 10**6]

    with pytest.raises(PackageError, match="expected numbers below"):
        edgeml.open_package(saved(forged(data, change), tmp_path))


def test_newer_formats(data: bytes, tmp_path: Path) -> None:
    newer = with_manifest(data, lambda text: text.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(PackageError, match="newer format 2"):
        edgeml.open_package(saved(newer, tmp_path))
    unknown = forged(data, lambda manifest, contents: manifest.update(signatures=["x"]))
    with pytest.raises(PackageError, match="newer edgeml"):
        edgeml.open_package(saved(unknown, tmp_path))


def wrong_digest(manifest: Any) -> None:
    manifest["files"]["artifacts/onnx-fp32.onnx"]["sha256"] = "sha256:" + "0" * 64


def wrong_size(manifest: Any) -> None:
    manifest["files"]["artifacts/onnx-fp32.onnx"]["size_bytes"] += 1


def changed_manifest(data: bytes, change: Callable[[Any], None]) -> bytes:
    def rewritten(text: bytes) -> bytes:
        manifest = json.loads(text)
        change(manifest)
        return manifest_text(manifest)

    return with_manifest(data, rewritten)


def test_a_wrong_digest_is_found_when_the_entry_is_read(data: bytes, tmp_path: Path) -> None:
    package = edgeml.open_package(saved(changed_manifest(data, wrong_digest), tmp_path))
    for use in (
        lambda: package.read("artifacts/onnx-fp32.onnx"),
        lambda: package.session("onnx-fp32"),
        package.verify,
    ):
        with pytest.raises(VerificationError, match=r"digest of 'artifacts/onnx-fp32\.onnx' does not match"):
            use()
    assert package.session("tflite-fp32").classify(np.zeros((1, 4))).shape == (1,)


def test_a_wrong_size_is_found_on_opening(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"differ in artifacts/onnx-fp32\.onnx"):
        edgeml.open_package(saved(changed_manifest(data, wrong_size), tmp_path))


@pytest.mark.parametrize("name", ["artifacts/onnx-fp32.onnx", INPUTS, "evidence/onnx-fp32.json"])
def test_a_missing_entry(data: bytes, tmp_path: Path, name: str) -> None:
    contents = contents_of(data)
    del contents[name]
    with pytest.raises(PackageError, match=name):
        edgeml.open_package(saved(pack(contents), tmp_path))


def test_an_entry_too_many(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"differ in artifacts/more\.onnx"):
        edgeml.open_package(saved(pack({**contents_of(data), "artifacts/more.onnx": b"x"}), tmp_path))
    listed = forged(data, lambda manifest, contents: contents.update({"artifacts/more.onnx": b"x"}))
    with pytest.raises(PackageError, match=r"does not match its references: artifacts/more\.onnx"):
        edgeml.open_package(saved(listed, tmp_path))


def test_a_manifest_that_is_too_large(data: bytes, tmp_path: Path) -> None:
    big = with_manifest(data, lambda text: text + b" " * (16 << 20))
    with pytest.raises(PackageError, match="expected at most 16777216"):
        edgeml.open_package(saved(big, tmp_path))


@pytest.mark.parametrize("name", [INPUTS, SCORES])
@pytest.mark.parametrize(
    "array",
    [
        bomb("(1000000000000,)"),
        bomb("(1000000000000, 4)", bytes(256)),
        bomb("(16, 0)"),
        bomb("(1000000000000, 0)"),
        bomb("(4611686018427387904, 4611686018427387904)"),
        bomb("(-16, -4)", bytes(256)),
        bomb("(16, 4)", bytes(255)),
        bomb("(" + "1, " * 60 + ")", bytes(4)),
        bomb("(1,)", b"\xff\xff\xff\xff", "<U1"),
        bomb("(1,)", b"\x80\x04N.", "|O"),
        npy(np.array([{"a": 1}] * 16, dtype=object), allow_pickle=True),
        npy(np.zeros(16, dtype="S4")),
        b"",
        b"\x93NUMPY",
        b"\x80\x04cos\nabort\n.",
    ],
    ids=lambda array: repr(array[10:90]),
)
def test_arrays_that_are_none(data: bytes, tmp_path: Path, name: str, array: bytes) -> None:
    path = saved(forged(data, lambda manifest, contents: contents.update({name: array})), tmp_path)
    with pytest.raises(PackageError, match=name):
        edgeml.open_package(path).verify()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "array"),
    [
        (INPUTS, np.zeros((15, 4), np.float32)),
        (INPUTS, np.zeros((17, 4), np.float32)),
        (INPUTS, np.zeros((16, 5), np.float32)),
        (INPUTS, np.zeros((16, 4, 1), np.float32)),
        (INPUTS, np.zeros(16, np.float32)),
        (INPUTS, np.full((16, 4), np.nan, np.float32)),
        (INPUTS, np.full((16, 4), "x")),
        (INPUTS, np.zeros((16, 4), np.float32)),  # other samples: other answers
        (SCORES, np.zeros((16, 3), np.float32)),
        (SCORES, np.zeros((15, 3), np.float32)),
        (SCORES, np.zeros((16, 3), np.int8)),
        (SCORES, np.full((16, 3), np.nan, np.float32)),
        (SCORES, np.full((16, 3), "x")),
        ("golden/onnx-fp32.ort.label.npy", np.full(16, 7, np.int64)),
        ("golden/onnx-fp32.ort.label.npy", np.full(16, "x")),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.dtype}-{value.shape}-{value.flat[0]}",
)
def test_golden_vectors_that_do_not_hold(data: bytes, tmp_path: Path, name: str, array: np.ndarray) -> None:
    path = saved(forged(data, lambda manifest, contents: contents.update({name: npy(array)})), tmp_path)
    package = edgeml.open_package(path)
    with pytest.raises(PackageError):
        package.verify()


def test_a_verification_that_would_prove_nothing(data: bytes, tmp_path: Path) -> None:
    def emptied(manifest: Any, contents: dict[str, bytes]) -> None:
        manifest["golden"]["samples"] = 0
        for name in [name for name in contents if name.startswith("golden/")]:
            contents[name] = npy(np.zeros((0, 4), np.float32))

    with pytest.raises(PackageError, match="0 golden inputs, expected at least 16"):
        edgeml.open_package(saved(forged(data, emptied), tmp_path))


def other_model(recipe: str, model: bytes) -> Callable[[Any, dict[str, bytes]], None]:
    def change(manifest: Any, contents: dict[str, bytes]) -> None:
        (file,) = [record["file"] for record in manifest["artifacts"] if record["recipe"] == recipe]
        contents[file] = model

    return change


@pytest.mark.parametrize("recipe", ["onnx-fp32", "tflite-fp32"])
@pytest.mark.parametrize("model", [b"", b"no model", bytes(1000), b"TFL3" * 100], ids=repr)
def test_artifacts_that_are_no_models(data: bytes, tmp_path: Path, recipe: str, model: bytes) -> None:
    package = edgeml.open_package(saved(forged(data, other_model(recipe, model)), tmp_path))
    with pytest.raises(EdgemlError):
        package.session(recipe)


def test_a_bound_of_infinity_cannot_be_written(data: bytes, tmp_path: Path) -> None:
    def loosened(text: bytes) -> bytes:
        manifest = json.loads(text)
        manifest["golden"]["runs"][0]["bounds"]["scores"] = "huge"
        return manifest_text(manifest).replace(b'"huge"', b"1e999")

    with pytest.raises(PackageError):
        edgeml.open_package(saved(with_manifest(data, loosened), tmp_path))
