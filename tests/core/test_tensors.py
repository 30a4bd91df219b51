from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from edgeml.core.errors import InputError, TargetError
from edgeml.core.tensors import (
    Decision,
    Quantization,
    Signature,
    TensorSpec,
    arrays_by_input,
    decide,
    dequantize,
    positions,
    quantize,
)
from edgeml.core.worker import Worker
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


SCORES = (TensorSpec("scores", (None, 3), "float32", meaning="scores"),)


def test_the_largest_score_decides() -> None:
    outputs = {"scores": np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]], np.float32)}
    assert decide(outputs, SCORES, Decision(("a", "b", "c"))).tolist() == ["b", "a"]
    assert positions(outputs, SCORES, Decision((10, 20, 30))).tolist() == [1, 0]


def test_above_the_threshold_is_the_second_label() -> None:
    spec = (TensorSpec("scores", (None, 1), "float32", meaning="scores"),)
    outputs = {"scores": np.array([[0.5], [0.50001], [0.2]], np.float32)}
    assert decide(outputs, spec, Decision(("no", "yes"), 0.5)).tolist() == ["no", "yes", "no"]


def test_the_models_own_label_output_wins_over_its_scores() -> None:
    specs = (TensorSpec("label", (None,), "int64", meaning="label"), *SCORES)
    outputs = {"label": np.array([30, 10, 7]), "scores": np.eye(3, dtype=np.float32)}
    decision = Decision((10, 20, 30))
    assert decide(outputs, specs, decision).tolist() == [30, 10, 7]
    assert positions(outputs, specs, decision).tolist() == [2, 0, -1]


def test_positions_of_labels_win_over_scores() -> None:
    specs = (*SCORES, TensorSpec("position", (None,), "int32", meaning="position"))
    outputs = {"position": np.array([2, 0], np.int32), "scores": np.eye(3, dtype=np.float32)[:2]}
    decision = Decision(("a", "b", "c"))
    assert decide(outputs, specs, decision).tolist() == ["c", "a"]
    assert positions(outputs, specs, decision).tolist() == [2, 0]
    for wrong in (-1, 3):
        outputs["position"] = np.array([wrong, 0], np.int32)
        assert positions(outputs, specs, decision).tolist() == [-1, 0]
        with pytest.raises(TargetError, match="gives positions"):
            decide(outputs, specs, decision)


SIGNATURE = Signature((TensorSpec("image", (None, 2, None), "float32"),), ())
TWO = Signature((TensorSpec("a", (None, 1), "float32"), TensorSpec("b", (None, 2), "float32")), ())


def test_arrays_become_contiguous_float32_in_the_order_of_the_signature() -> None:
    given = {"b": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(3, 2)), "a": [[True], [False], [True]]}
    arrays = arrays_by_input(given, TWO, "input")
    assert list(arrays) == ["a", "b"]
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in arrays.values())
    assert arrays["a"].tolist() == [[1], [0], [1]]
    assert arrays["b"].tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("data", "signature", "message"),
    [
        (np.zeros((4, 3, 5)), SIGNATURE, r"got shape \[4, 3, 5\], expected \[samples, 2, any\]"),
        (np.zeros((2, 5)), SIGNATURE, r"add the axis of samples in front"),
        (np.array([[["x"], ["y"]]]), SIGNATURE, "expected numbers"),
        (np.array([[[1j], [2j]]]), SIGNATURE, "expected numbers"),
        ([[1, 2], [3]], SIGNATURE, "no regular array"),
        (np.array([[[0.0], [np.nan]]]), SIGNATURE, "sample 0 holds NaN"),
        (np.array([[[0.0], [0.0]], [[0.0], [-np.inf]]]), SIGNATURE, r"sample 1 holds NaN or infinity \(1 of 2"),
        ({"picture": np.zeros((1, 2, 1))}, SIGNATURE, "got inputs .*picture.*, expected .*image"),
        (np.zeros((4, 1)), TWO, "has 2 inputs"),
        ({"a": np.zeros((4, 1)), "b": np.zeros((3, 2))}, TWO, "different numbers of samples"),
    ],
)
def test_what_does_not_fit_is_refused(data: object, signature: Signature, message: str) -> None:
    with pytest.raises(InputError, match=message):
        arrays_by_input(data, signature, "input")


def test_infinities_of_both_signs_are_found() -> None:
    data = np.zeros((3, 2, 1), np.float32)
    data[1] = [[np.inf], [-np.inf]]
    with pytest.raises(InputError, match="sample 1"):
        arrays_by_input(data, SIGNATURE, "input")


def test_numbers_too_large_for_float32_are_refused() -> None:
    with pytest.raises(InputError, match="too large for float32"):
        arrays_by_input(np.full((1, 2, 1), 1e300), SIGNATURE, "input")


# Text and gaps

TEXT = Signature((TensorSpec("district", (None, 1), "string", gaps=True),), ())


@pytest.mark.parametrize(
    "given",
    [
        np.array([["Süd"], ["a"]]),
        np.array(["Süd", "a"], dtype=object),
        ["Süd", "a"],
        [["Süd"], ["a"]],
        {"district": ("Süd", "a")},
    ],
)
def test_text(given: Any) -> None:
    found = arrays_by_input(given, TEXT, "data")["district"]
    assert found.dtype.kind == "U"
    assert found.tolist() == [["Süd"], ["a"]]


def test_missing_text_is_empty() -> None:
    found = arrays_by_input([None, float("nan"), "", "a"], TEXT, "data")["district"]
    assert found.tolist() == [[""], [""], [""], ["a"]]


def test_missing_numbers_are_nan() -> None:
    signature = Signature((TensorSpec("age", (None, 1), "float64", gaps=True),), ())
    for given in ([None, 1, 0.1], np.array([np.nan, 1, 0.1]), np.array([None, 1, 0.1], object)):
        found = arrays_by_input(given, signature, "data")["age"]
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [[np.nan], [1], [0.1]])
    with pytest.raises(InputError, match="sample 1 holds NaN or infinity"):
        arrays_by_input([None, np.inf], signature, "data")


def test_gaps_in_some_columns_alone() -> None:
    signature = Signature((TensorSpec("x", (None, 3), "float32", gaps=(0, 2)),), ())
    rows = np.array([[np.nan, 1, np.nan], [1, 2, 3]])
    np.testing.assert_array_equal(arrays_by_input(rows, signature, "data")["x"], rows)
    with pytest.raises(InputError, match=r"sample 1 holds NaN or infinity \(1 of 2 samples do\)"):
        arrays_by_input([[1, 2, 3], [1, np.nan, 3]], signature, "data")


@pytest.mark.parametrize(
    ("spec", "given", "words"),
    [
        (TensorSpec("d", (None, 1), "string"), ["a", None], "sample 1 holds a missing text"),
        (TensorSpec("d", (None, 1), "string"), [1, 2], "got 1, expected text"),
        (TensorSpec("d", (None, 1), "string"), np.array([1, 2]), "got dtype int64, expected text"),
        (TensorSpec("d", (None, 1), "string"), ["a", 3.5], "got 3.5, expected text"),
        (TensorSpec("d", (None, 1), "string"), np.array([["a", 3]], object)[:, 1:], "got 3, expected text"),
        (TensorSpec("d", (None, 1), "string"), [["a", "b"]], r"got shape \[1, 2\], expected \[samples, 1\]"),
        (TensorSpec("d", (None, 1), "string", texts=("a", "b")), ["a", "c"], "got 'c', which .*knows a, b"),
        (TensorSpec("d", (None, 1), "float32", gaps=True), ["a", None], "expected numbers"),
        (TensorSpec("d", (None, 1), "float32"), [None, 1.0], "got dtype object, expected numbers"),
    ],
)
def test_what_is_no_text_and_no_gap(spec: TensorSpec, given: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"data, input 'd': .*{words}"):
        arrays_by_input(given, Signature((spec,), ()), "data")
