from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeml.core.caller_inputs import all_finite, arrays_by_input, shaped_by_input, values_of
from edgeml.core.errors import InputError
from edgeml.core.tensors import Signature, TensorSpec

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
        (np.zeros((2, 5)), SIGNATURE, r"axis of samples is missing; add it in front: x\[None\]"),
        (np.array([[["x"], ["y"]]]), SIGNATURE, "expected numbers"),
        (np.array([[[1j], [2j]]]), SIGNATURE, "expected numbers"),
        ([[1, 2], [3]], SIGNATURE, "expected a regular array, got parts of different shapes"),
        (np.array([[[0.0], [np.nan]]]), SIGNATURE, "sample 0 holds NaN"),
        (np.array([[[0.0], [0.0]], [[0.0], [-np.inf]]]), SIGNATURE, r"sample 1 holds NaN or infinity \(1 of 2"),
        ({"picture": np.zeros((1, 2, 1))}, SIGNATURE, "got inputs .*picture.*, expected .*image.*name the arrays x"),
        (np.zeros((4, 1)), TWO, "has 2 inputs"),
        ({"a": np.zeros((4, 1)), "b": np.zeros((3, 2))}, TWO, "different numbers of samples"),
    ],
)
def test_what_does_not_fit_is_refused(data: object, signature: Signature, message: str) -> None:
    with pytest.raises(InputError, match=message):
        arrays_by_input(data, signature, "input")


IMAGES, PLANES = (None, 4, 6, 3), (None, 3, 4, 6)


@pytest.mark.parametrize(
    ("shape", "expected", "line"),
    [
        ((8, 8, 1), (None, 8, 8, 1), "x[None]"),
        ((5, 8, 8), (None, 8, 8, 1), "x[..., None]"),
        ((5, 8, 8), (None, 1, 8, 8), "x[:, None]"),
        ((8, 8), (None, 8, 8, 1), "x[None, ..., None]"),
        ((5, 3, 4, 6), IMAGES, "x.transpose(0, 2, 3, 1)"),
        ((5, 4, 6, 3), PLANES, "x.transpose(0, 3, 1, 2)"),
        ((5, 3, 2, 4, 6), (None, 2, 4, 6, 3), "x.transpose(0, 2, 3, 4, 1)"),
        ((5, 3, 7, 9), (None, None, None, 3), "x.transpose(0, 2, 3, 1)"),
        ((5, 72), IMAGES, "x.reshape(-1, 4, 6, 3)"),
        ((5, 4, 6, 3), (None, 72), "x.reshape(-1, 72)"),
    ],
)
def test_the_fix_of_a_shape_is_a_line_that_mends_it(
    shape: tuple[int, ...], expected: tuple[int | None, ...], line: str
) -> None:
    signature = Signature((TensorSpec("image", expected, "float32"),), ())
    x = np.zeros(shape)
    with pytest.raises(InputError) as caught:
        arrays_by_input(x, signature, "input")
    assert line in caught.value.fix
    arrays_by_input(eval(line), signature, "input")  # of the list above


@pytest.mark.parametrize(
    ("shape", "expected", "words"),
    [
        ((5, 3, 4, 6), IMAGES, "channels come first (NCHW), expected last (NHWC)"),
        ((5, 4, 6, 3), PLANES, "channels come last (NHWC), expected first (NCHW)"),
        ((5, 8, 8), (None, 8, 8, 1), "axis of channels is missing"),
    ],
)
def test_the_order_of_channels_is_named(shape: tuple[int, ...], expected: tuple[int | None, ...], words: str) -> None:
    with pytest.raises(InputError) as caught:
        arrays_by_input(np.zeros(shape), Signature((TensorSpec("image", expected, "float32"),), ()), "input")
    assert words in caught.value.fix


@pytest.mark.parametrize(("shape", "expected"), [((5, 7, 7, 3), IMAGES), ((), (None, 2)), ((5, 5), (None, 4))])
def test_a_shape_that_no_axis_explains_gets_no_advice(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> None:
    with pytest.raises(InputError, match="got shape") as caught:
        arrays_by_input(np.zeros(shape), Signature((TensorSpec("image", expected, "float32"),), ()), "input")
    assert caught.value.fix == ""


def test_several_inputs_of_other_names_are_told_theirs() -> None:
    with pytest.raises(InputError, match="name the arrays a, b; the labels y"):
        arrays_by_input({"x": np.zeros((4, 1)), "b": np.zeros((4, 2))}, TWO, "input")


def test_infinities_of_both_signs_are_found() -> None:
    data = np.zeros((3, 2, 1), np.float32)
    data[1] = [[np.inf], [-np.inf]]
    with pytest.raises(InputError, match="sample 1"):
        arrays_by_input(data, SIGNATURE, "input")


def test_numbers_too_large_for_float32_are_refused() -> None:
    with pytest.raises(InputError, match="too large for float32"):
        arrays_by_input(np.full((1, 2, 1), 1e300), SIGNATURE, "input")


TEXT = Signature((TensorSpec("district", (None, 1), "string", missing_values=True),), ())


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
    signature = Signature((TensorSpec("age", (None, 1), "float64", missing_values=True),), ())
    for given in ([None, 1, 0.1], np.array([np.nan, 1, 0.1]), np.array([None, 1, 0.1], object)):
        found = arrays_by_input(given, signature, "data")["age"]
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [[np.nan], [1], [0.1]])
    with pytest.raises(InputError, match="sample 1 holds NaN or infinity"):
        arrays_by_input([None, np.inf], signature, "data")


def test_gaps_in_some_columns_alone() -> None:
    signature = Signature((TensorSpec("x", (None, 3), "float32", missing_values=(0, 2)),), ())
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
        (TensorSpec("d", (None, 1), "float32", missing_values=True), ["a", None], "expected numbers"),
        (TensorSpec("d", (None, 1), "float32"), [None, 1.0], "got dtype object, expected numbers"),
    ],
)
def test_what_is_no_text_and_no_gap(spec: TensorSpec, given: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"data, input 'd': .*{words}"):
        arrays_by_input(given, Signature((spec,), ()), "data")


def test_a_shaped_input_keeps_its_values_and_a_memory_map_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[[np.inf], [1.0]]]))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    found = shaped_by_input(mapped, SIGNATURE, "input")["image"]
    assert found.dtype == np.float64
    assert np.shares_memory(found, mapped)


def test_a_bad_sample_of_some_is_counted_from_the_first_of_all() -> None:
    spec = SIGNATURE.inputs[0]
    samples = np.zeros((3, 2, 1))
    samples[1, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"sample 4001 holds NaN or infinity \(1 of 3 samples from 4000 on do\)"):
        values_of(samples, spec, "input", first=4000)


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
