"""Inputs whose integers stand for themselves, and those of half precision, against onnxruntime on the same file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import edgeml
from edgeml.core.errors import InputError

WHOLE = ("int8", "uint8", "int32", "int64", "bool")
COUNTS = pytest.mark.parametrize("count", [1, 3, 300])


def file_of(folder: Path, dtype: str) -> Path:
    """A model that gives what it is given."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ends = [helper.make_tensor_value_info(name, kind, ["N", 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / f"{dtype}.onnx")
    return folder / f"{dtype}.onnx"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, edgeml.Package]:
    folder = tmp_path_factory.mktemp("same")
    data = np.random.default_rng(0).integers(0, 2, (20, 4))
    return {
        dtype: edgeml.build(file_of(folder, dtype), evaluation=data, recipes=["onnx-fp32"])
        for dtype in (*WHOLE, "float16")
    }


def ways(given: np.ndarray) -> Iterator[object]:
    """The data as an array, and as a stream of samples."""
    yield given
    yield iter(given)


@COUNTS
@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_arrive_as_they_are(packages: dict[str, edgeml.Package], dtype: str, count: int) -> None:
    least, most = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    given = np.resize(np.array([least, most, 0, 1], dtype), (count, 4))
    with packages[dtype].session("onnx-fp32") as session:
        np.testing.assert_array_equal(session.run_raw({"x": given})["y"], given)
        few = (given % 2).astype(dtype)
        for floats in (np.float32, np.float64):
            for way in ways(few.astype(floats)):
                np.testing.assert_array_equal(session.predict(way), few)


@COUNTS
@pytest.mark.parametrize("value", [0.5, 1e30, np.nan, np.inf, -(2.0**70)])
@pytest.mark.parametrize("dtype", WHOLE)
def test_other_numbers_are_refused(packages: dict[str, edgeml.Package], dtype: str, value: float, count: int) -> None:
    with packages[dtype].session("onnx-fp32") as session:
        for floats in (np.float32, np.float64):
            given = np.ones((count, 4), floats)
            given[count - 1, 3] = value
            for way in ways(given):
                with pytest.raises(InputError, match=f"sample {count - 1} holds .* no {dtype}"):
                    session.predict(way)


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 256), ("uint8", -1), ("int8", 128), ("int32", 2**31)])
def test_numbers_beyond_the_range_are_refused(packages: dict[str, edgeml.Package], dtype: str, value: int) -> None:
    with (
        packages[dtype].session("onnx-fp32") as session,
        pytest.raises(InputError, match=f"sample 0 holds .* no {dtype}"),
    ):
        session.predict(np.full((1, 4), value))


@COUNTS
def test_half_precision(packages: dict[str, edgeml.Package], count: int) -> None:
    with packages["float16"].session("onnx-fp32") as session:
        given = np.tile(np.array([1.5, -65504, 65504, 0], np.float32), (count, 1))
        np.testing.assert_array_equal(session.predict(given), given)
        given[count - 1, 2] = 70_000
        for way in ways(given):
            with pytest.raises(InputError, match=f"sample {count - 1} holds a number that is too large for float16"):
                session.predict(way)


def test_whole_numbers_are_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="inputs x take whole numbers"):
        edgeml.build(file_of(tmp_path, "int64"), recipes=["onnx-fp32"])
