"""Quantization in numpy, against LiteRT's own operator and exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from edgeml.core.integer_grid import dequantize, quantize
from edgeml.core.system.worker import Worker
from edgeml.core.tensors import Quantization
from tests.support.quantize_model import QuantizeModelSettings

SAMPLES = 512


def run_raw(model: bytes, values: np.ndarray) -> tuple[np.ndarray, Quantization]:
    """What LiteRT itself gives, and the quantization of the model's int8 tensor."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    scales = {d["quantization"] for d in interpreter.get_tensor_details() if d["dtype"] is np.int8}
    ((scale, zero_point),) = scales
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    out = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return out.reshape(-1), Quantization(float(scale), int(zero_point))


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("quantize")
    with Worker("tests.support.quantize_model:QuantizeModel", QuantizeModelSettings(), folder) as maker:
        yield maker


@pytest.mark.parametrize(("low", "high"), [(-4.0, 3.96875), (-1.0, 6.3), (0.0, 0.7), (-1e-3, 1e-3), (-300.0, 20.0)])
def test_equals_the_quantize_operator_of_litert(maker: Worker, low: float, high: float) -> None:
    model = maker.call("make", low, high, SAMPLES, returns=bytes)
    width = high - low
    values = np.random.default_rng(7).uniform(low - width / 4, high + width / 4, SAMPLES).astype(np.float32)
    values[:4] = low, high, 0.0, 3e38  # the last is clipped, without a warning
    expected, quantization = run_raw(model, values)
    found = dequantize(quantize(values, quantization, "int8"), quantization)
    np.testing.assert_array_equal(found, expected)


def test_ties_go_to_the_even_integer_as_in_xnnpack(maker: Worker) -> None:
    model = maker.call("make", -4.0, 3.96875, SAMPLES, returns=bytes)
    ties = ((np.arange(SAMPLES) - 256) / 2 / 32).astype(np.float32)  # halves of a step of 1/32, exactly
    expected, quantization = run_raw(model, ties)
    assert quantization == Quantization(1 / 32, 0)
    np.testing.assert_array_equal(dequantize(quantize(ties, quantization, "int8"), quantization), expected)


@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -128), ("int8", 5), ("uint8", 128), ("int16", 0)])
def test_equals_exact_arithmetic(dtype: str, zero_point: int) -> None:
    scale = float(np.float32(0.037))
    rng = np.random.default_rng(3)
    values = rng.uniform(-20, 20, 2000).astype(np.float32)
    limits = np.iinfo(dtype)
    exact = [
        min(max(round(Fraction(float(value)) / Fraction(scale)) + zero_point, int(limits.min)), int(limits.max))
        for value in values
    ]
    found = quantize(values, Quantization(scale, zero_point), dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, exact)
    back = [float(np.float32(Fraction(scale) * (step - zero_point))) for step in exact]
    np.testing.assert_array_equal(dequantize(found, Quantization(scale, zero_point)), np.array(back, np.float32))


def test_every_integer_survives_the_way_out_and_back() -> None:
    for dtype, zero_point in (("int8", -17), ("uint8", 200), ("int16", 0)):
        limits = np.iinfo(dtype)
        steps = np.arange(int(limits.min), int(limits.max) + 1).astype(dtype)
        quantization = Quantization(0.0123, zero_point)
        np.testing.assert_array_equal(quantize(dequantize(steps, quantization), quantization, dtype), steps)


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, 1e30, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_what_is_out_of_range_is_clipped_silently(value: float, dtype: str) -> None:
    limits = np.iinfo(dtype)
    found = quantize(np.array([value], np.float32), Quantization(1e-3, 3), dtype)
    assert found[0] == (limits.max if value > 0 else limits.min)
