from __future__ import annotations

from pathlib import Path

import pytest

from edgeml.core.source import is_bare


@pytest.mark.parametrize("name", ["net.tflite", "net.onnx", "NET.TFLITE", "a/b.c/net.v2.Onnx", Path("a") / "net.onnx"])
def test_a_model_file_is_bare_by_its_name(name: object) -> None:
    assert is_bare(name)


@pytest.mark.parametrize(
    "name", ["net.edgeml", "net.keras", "net", "onnx", "net.onnx.gz", "net.onnx/", "tflite/net.skops", "", None, 3]
)
def test_what_is_no_model_file_by_its_name(name: object) -> None:
    assert not is_bare(name)
