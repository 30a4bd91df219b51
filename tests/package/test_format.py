"""The promise: a package made as format 1 was released opens, verifies and predicts, now and ever after."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest

import edgeml
from tests.support.make_format1 import FACTS, NAMES, PACKAGE


@pytest.fixture(scope="module")
def facts() -> Any:
    return json.loads(FACTS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def package() -> edgeml.Package:
    return edgeml.open_package(PACKAGE)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """The golden inputs, read by numpy alone."""
    with zipfile.ZipFile(PACKAGE) as archive:
        return np.asarray(np.load(io.BytesIO(archive.read("golden/input.image.npy"))))


def test_the_file_is_the_one_that_was_made(facts: Any) -> None:
    assert f"sha256:{hashlib.sha256(PACKAGE.read_bytes()).hexdigest()}" == facts["digest"]
    assert PACKAGE.stat().st_size < 150_000


def test_it_opens(package: edgeml.Package) -> None:
    manifest = package.manifest
    assert (manifest.format, manifest.name, manifest.version) == (1, "digits-format1", "1.0.0")
    assert (manifest.licence, manifest.author) == ("Apache-2.0", "The edgeml authors")
    assert manifest.source.decision is not None
    assert list(manifest.source.decision.labels) == NAMES
    assert package.released == ("tflite-int8", "onnx-fp32")
    assert manifest.goal == edgeml.Goal(max_drop=0.02, max_size_bytes=100_000)
    for record in manifest.artifacts:
        assert record.measurement is not None
        assert record.evaluation.metrics is not None
        assert record.evaluation.metrics.accuracy is not None
        assert record.evaluation.metrics.accuracy > 0.9


def test_it_verifies(package: edgeml.Package, facts: Any) -> None:
    found = package.verify(digest=facts["digest"])
    assert [(check.recipe, check.status) for check in found.golden] == [
        ("tflite-int8", "holds"),
        ("onnx-fp32", "holds"),
    ]


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_it_predicts_the_stored_labels(package: edgeml.Package, facts: Any, images: np.ndarray, recipe: str) -> None:
    assert images.shape == (16, 8, 8, 1)
    labels = package.session(recipe).classify(images).tolist()
    assert labels == facts["labels"][recipe]
    assert sum(a == b for a, b in zip(labels, facts["truth"], strict=True)) >= 14


def test_the_best_of_it_loads(images: np.ndarray, facts: Any) -> None:
    assert edgeml.load(PACKAGE).classify(images).tolist() in facts["labels"].values()


def test_writing_it_again_gives_the_same_bytes(package: edgeml.Package, tmp_path: Any) -> None:
    package.save(tmp_path / "again.edgeml")
    assert (tmp_path / "again.edgeml").read_bytes() == PACKAGE.read_bytes()
