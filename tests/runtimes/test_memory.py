"""What goes into an engine's memory in one pass, against IEEE 754's own classes of numbers and plain rounding."""

from __future__ import annotations

import numpy as np
import pytest

from edgeml.core.encoding import Scaling
from edgeml.core.tensors import DType, Quantization, TensorSpec, all_finite
from edgeml.runtimes.memory import filler

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
    fill = filler(np.zeros((1, size), spec.dtype), spec)
    for position in (0, size - 1):
        for others in (1.0, -1.0):
            values = np.full(size, others, np.float32)
            values.view(np.uint32)[position] = bits
            assert not fill(values)
            assert not all_finite(values)


@SIZES
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_integers_are_rounded_to_the_nearest_even_and_clipped(dtype: DType, size: int) -> None:
    spec = SPECS[dtype]
    place = np.zeros((1, size), dtype)
    values = np.resize(np.array([0.0, 0.125, 0.375, -0.125, 31.0, 1e9, -1e9, 1e-45], np.float32), size)
    assert filler(place, spec)(values)
    zero, low, high = (3, -128, 127) if dtype == "int8" else (0, -32768, 32767)
    steps = [0, 0, 2, 0, 124, high, low, 0]
    wanted = [step if step in {low, high} else step + zero for step in steps]
    np.testing.assert_array_equal(place[0], np.resize(wanted, size))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("size", [1, 2**18, 2**18 + 1])
def test_finite_numbers_of_all_kinds(dtype: str, size: int) -> None:
    limits = np.finfo(dtype)
    kinds = np.array([0, limits.smallest_subnormal, limits.tiny, limits.max, 1], dtype)
    for sign in (1, -1):
        values = np.resize(kinds * np.array(sign, dtype), size)
        assert all_finite(values)
        for bad in (np.inf, -np.inf, np.nan, -np.nan):
            values[-1] = bad
            assert not all_finite(values)
