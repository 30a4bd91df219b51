"""An existing TFLite file as the artifact that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgeml
from edgeml.converters.tflite.from_file import convert
from edgeml.core.conversion import ConversionJob
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import find_recipe
from edgeml.sources.tflite_file import open_source
from tests.support.packing import artifact_bytes

PACKAGE = Path(__file__).parents[2] / "data" / "format1.edgeml"


@pytest.fixture
def source(tmp_path: Path) -> Any:
    (tmp_path / "model.tflite").write_bytes(artifact_bytes(edgeml.open_package(PACKAGE), "tflite-int8"))
    return open_source(tmp_path / "model.tflite")


@pytest.mark.parametrize("batch", [None, 1])
def test_the_file_stays_as_it_is_byte_for_byte(source: Any, batch: int | None, tmp_path: Path) -> None:
    artifact = convert(source, find_recipe("tflite-int8"), ConversionJob(tmp_path, batch))
    assert artifact.data == (tmp_path / "model.tflite").read_bytes()
    assert (artifact.recipe, artifact.lineage) == ("tflite-int8", ("the given .tflite file",))
    assert {spec.dtype for spec in (*artifact.signature.inputs, *artifact.signature.outputs)} == {"int8"}


def test_another_precision_is_refused(source: Any, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="The file is tflite-int8; a TFLite file is packaged as it is"):
        convert(source, find_recipe("tflite-fp32"), ConversionJob(tmp_path))


def test_another_batch_is_refused(source: Any, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="The file has a fixed batch size of 1; got batch=3"):
        convert(source, find_recipe("tflite-int8"), ConversionJob(tmp_path, 3))
