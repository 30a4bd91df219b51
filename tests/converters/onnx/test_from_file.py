"""An existing ONNX file as the artifact that it is, and a float32 one in the other precisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from edgeml.converters.onnx.from_file import convert
from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import find_recipe
from edgeml.sources.onnx_file import open_source
from tests.support.linear_onnx import write_linear_onnx

WEIGHTS = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
X = np.random.default_rng(1).normal(size=(8, 64)).astype(np.float32)


def artifact_of(path: Path, recipe_id: str, *, batch: int | None = None) -> Artifact:
    calibration = {"x": np.random.default_rng(2).normal(size=(40, 64)).astype(np.float32)}
    source: Any = open_source(path)
    return convert(source, find_recipe(recipe_id), ConversionJob(path.parent, batch, calibration))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_linear_onnx(tmp_path / "model.onnx", WEIGHTS, softmax=False)
    return tmp_path / "model.onnx"


@pytest.mark.parametrize(
    ("recipe_id", "noise"), [("onnx-fp32", 1e-5), ("onnx-fp16", 1e-2), ("onnx-dynamic", 0.5), ("onnx-int8", 0.5)]
)
def test_a_float32_file_in_every_precision_computes_the_same(path: Path, recipe_id: str, noise: float) -> None:
    artifact = artifact_of(path, recipe_id)
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": X})
    np.testing.assert_allclose(found, X @ WEIGHTS, atol=noise)
    assert artifact.lineage[0] == "the given .onnx file"


def test_a_free_batch_can_be_fixed_and_a_fixed_one_stays(path: Path) -> None:
    artifact = artifact_of(path, "onnx-fp32", batch=4)
    assert [spec.shape for spec in (*artifact.signature.inputs, *artifact.signature.outputs)] == [(4, 64), (4, 32)]
    path.write_bytes(artifact.data)
    assert artifact_of(path, "onnx-fp32").signature == artifact_of(path, "onnx-fp32", batch=4).signature
    with pytest.raises(UnsupportedModelError, match="The file has a fixed batch size of 4; got batch=2"):
        artifact_of(path, "onnx-fp32", batch=2)


def test_a_file_in_another_precision_stays_in_that(path: Path) -> None:
    path.write_bytes(artifact_of(path, "onnx-fp16").data)
    with pytest.raises(UnsupportedModelError, match=r"The file is onnx-fp16; only float32 files") as caught:
        artifact_of(path, "onnx-int8")
    assert caught.value.fix == "build from the model that the file was exported from."


def test_an_opset_too_old_for_weights_by_channel_is_raised(path: Path) -> None:
    model = onnx.load(path)
    model.opset_import[0].version = 12
    onnx.save(model, path)
    for recipe_id, opset in (("onnx-fp32", 12), ("onnx-dynamic", 13)):
        made = onnx.load_model_from_string(artifact_of(path, recipe_id).data)
        (found,) = [entry.version for entry in made.opset_import if entry.domain in {"", "ai.onnx"}]
        assert found == opset
