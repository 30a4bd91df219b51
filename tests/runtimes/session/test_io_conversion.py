"""Into an engine's memory and back: against IEEE 754's classes of numbers, plain rounding, and the engines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import edgeml
from edgeml.core.caller_inputs import all_finite
from edgeml.core.encoding import Scaling
from edgeml.core.errors import InputError
from edgeml.core.session import Session
from edgeml.core.tensors import DType, Quantization, TensorSpec
from edgeml.runtimes.session.io_conversion import input_converter, to_artifact, to_source
from tests.support.identity_onnx import write_identity_onnx
from tests.support.raw_engines import RawTflite, bytes_of

# By their bits: infinities, and NaN that are quiet and that signal, of either sign and with the least and the largest
# payload.
ENDLESS = (0x7F800000, 0xFF800000)
NAN = (0x7F800001, 0x7FBFFFFF, 0x7FC00000, 0x7FFFFFFF, 0xFF800001, 0xFFBFFFFF, 0xFFC00000, 0xFFFFFFFF)
STEPS = Quantization(0.25, 3)
SPECS = {
    "float32": TensorSpec("x", (1, None), "float32"),
    "float16": TensorSpec("x", (1, None), "float16"),
    "int8": TensorSpec("x", (1, None), "int8", STEPS),
    "int16": TensorSpec("x", (1, None), "int16", Quantization(0.25, 0)),
    "scaled": TensorSpec("x", (1, None), "int8", STEPS, encoding=Scaling((1.0,), (2.0,))),
}
SIZES = pytest.mark.parametrize("size", [3, 20_000])


@SIZES
@pytest.mark.parametrize("bits", [*ENDLESS, *NAN])
@pytest.mark.parametrize("name", SPECS)
def test_what_is_not_finite_is_not_put_there(name: str, bits: int, size: int) -> None:
    spec = SPECS[name]
    convert = input_converter(spec, (1, size))
    for position in (0, size - 1):
        for others in (1.0, -1.0):
            values = np.full(size, others, np.float32)
            values.view(np.uint32)[position] = bits
            assert convert(values) is None
            assert not all_finite(values)


@SIZES
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_integers_are_rounded_to_the_nearest_even_and_clipped(dtype: DType, size: int) -> None:
    spec = SPECS[dtype]
    values = np.resize(np.array([0.0, 0.125, 0.375, -0.125, 31.0, 1e9, -1e9, 1e-45], np.float32), size)
    converted = input_converter(spec, (1, size))(values)
    assert converted is not None
    zero, low, high = (3, -128, 127) if dtype == "int8" else (0, -32768, 32767)
    steps = [0, 0, 2, 0, 124, high, low, 0]
    wanted = [step if step in {low, high} else step + zero for step in steps]
    np.testing.assert_array_equal(converted, np.resize(wanted, size))


@pytest.mark.parametrize("recipe", ["tflite-int8", "tflite-int16x8"])
def test_integers_are_rounded_and_clipped(
    net_package: edgeml.Package, sessions: dict[str, Session], recipe: str
) -> None:
    """Values on the steps, on the halves between them, and beyond both ends of the range."""
    raw = RawTflite(bytes_of(net_package, recipe))
    scale, zero = raw.takes["quantization"]
    limits = np.iinfo(raw.takes["dtype"])
    steps = np.concatenate([np.arange(-40, 40) / 4, [limits.min - 3, limits.max + 3, 1e6, -1e6]])
    values = ((steps - zero) * scale).astype(np.float32)
    x = np.resize(values, (6, 8, 8, 1))
    session = sessions[recipe]
    given = to_artifact(x, session.signature.inputs[0])
    assert given.dtype == raw.takes["dtype"]
    exact = np.clip(x.astype(np.float64) / scale + zero, limits.min, limits.max)
    assert np.abs(given - exact).max() <= 0.5 + 1e-3  # no other step is nearer, but for rounding in float32
    wanted = session.run_quantized({"image": given})["scores"]
    np.testing.assert_array_equal(session.run_raw({"image": x})["scores"], wanted)
    for row in range(len(x)):  # and alone, by the way that single samples take
        found = session.predict(x[row : row + 1])
        np.testing.assert_array_equal(found, to_source(wanted[row : row + 1], session.signature.outputs[0]))


def test_huge_values_are_clipped_without_a_warning(sessions: dict[str, Session]) -> None:
    x = np.full((2, 8, 8, 1), 3e38, np.float32)
    found = sessions["tflite-int8"].predict(x)
    np.testing.assert_array_equal(found, sessions["tflite-int8"].predict(np.full((2, 8, 8, 1), 1e3)))


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
@pytest.mark.parametrize("count", [1, 3, 600])
def test_tiny_values_where_numpy_raises(sessions: dict[str, Session], recipe: str, count: int) -> None:
    x = np.full((count, 8, 8, 1), 1e-30, np.float32)
    wanted = sessions[recipe].predict(x)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(sessions[recipe].predict(x), wanted)


# Inputs whose integers stand for themselves, and those of half precision


WHOLE = ("int8", "uint8", "int32", "int64", "bool")
COUNTS = pytest.mark.parametrize("count", [1, 3, 300])


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, edgeml.Package]:
    folder = tmp_path_factory.mktemp("same")
    data = np.random.default_rng(0).integers(0, 2, (20, 4))
    return {
        dtype: edgeml.build(write_identity_onnx(folder, dtype), evaluation=data, recipes=["onnx-fp32"])
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
                same = session.predict(way)
                assert isinstance(same, np.ndarray)
                assert same.dtype == dtype
                np.testing.assert_array_equal(same, few)


@pytest.mark.slow
@COUNTS
@pytest.mark.parametrize("value", [0.5, 1e30, np.nan, np.inf, -(2.0**70)])
@pytest.mark.parametrize("dtype", WHOLE)
def test_other_numbers_are_refused(packages: dict[str, edgeml.Package], dtype: str, value: float, count: int) -> None:
    with packages[dtype].session("onnx-fp32") as session:
        for floats in (np.float32, np.float64):
            given = np.ones((count, 4), floats)
            given[count - 1, 3] = value
            for way in ways(given):
                with pytest.raises(InputError, match=f"sample {count - 1} holds a (fraction|number)"):
                    session.predict(way)


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 256), ("uint8", -1), ("int8", 128), ("int32", 2**31)])
def test_numbers_beyond_the_range_are_refused(packages: dict[str, edgeml.Package], dtype: str, value: int) -> None:
    with (
        packages[dtype].session("onnx-fp32") as session,
        pytest.raises(InputError, match=f"sample 0 holds a number outside of {np.iinfo(dtype).min} to ") as refused,
    ):
        session.predict(np.full((1, 4), value))
    assert f"the artifact takes {dtype}" in refused.value.fix


@COUNTS
def test_half_precision(packages: dict[str, edgeml.Package], count: int) -> None:
    with packages["float16"].session("onnx-fp32") as session:
        given = np.tile(np.array([1.5, -65504, 65504, 0], np.float32), (count, 1))
        np.testing.assert_array_equal(session.predict(given), given)
        given[count - 1, 2] = 70_000
        for way in ways(given):
            with pytest.raises(InputError, match=f"sample {count - 1} holds a number that is too large for float16"):
                session.predict(way)
