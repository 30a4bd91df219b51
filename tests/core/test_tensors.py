from __future__ import annotations

import msgspec
import pytest

from edgeml.core.tensors import Quantization, TensorSpec, describe_input, plain_name, plain_names


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("image", "image"),
        ("_private", "tensor__private"),
        ("dense/BiasAdd:0", "dense_BiasAdd_0"),
        ("höhe", "h_he"),
        ("1st", "tensor_1st"),
        ("", "tensor_"),
    ],
)
def test_names_keep_ascii_letters_digits_and_underscores_and_begin_with_a_letter(name: str, plain: str) -> None:
    assert plain_name(name, set()) == plain


def test_names_that_differ_in_case_alone_are_told_apart() -> None:
    """TensorFlow takes them for one."""
    found = plain_names(["x", "X", "x", "x_2"])
    assert found[0] == "x"
    assert len({name.lower() for name in found}) == 4


def test_plain_names_stay_as_they_are() -> None:
    names = ["a", "b_2", "Dense_1"]
    assert plain_names(names) == names
    once = plain_names(["a:0", "a_0", "A 0"])
    assert plain_names(once) == once


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (TensorSpec("x", (None, 2), "float32"), ""),
        (TensorSpec("x", (None, 2), "float32", missing_values=True), "may be missing"),
        (TensorSpec("x", (None, 3), "float32", missing_values=(0, 2)), "may be missing in columns 0, 2"),
        (TensorSpec("x", (None, 1), "string"), "text"),
        (TensorSpec("x", (None, 1), "string", texts=("a", "b"), missing_values=True), "one of a, b, may be missing"),
    ],
)
def test_what_an_input_takes_is_told_in_words(spec: TensorSpec, words: str) -> None:
    assert describe_input(spec) == words


def test_of_many_texts_ten_are_shown() -> None:
    spec = TensorSpec("x", (None, 1), "string", texts=tuple("abcdefghijkl"))
    assert describe_input(spec) == "one of a, b, c, d, e, f, g, h, i, j, …"


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("x", (None, 3), "int8", Quantization(0.5, -3)),
        TensorSpec("x", (1, 2), "float32", meaning="scores"),
        TensorSpec("x", (None, 1), "string", missing_values=(0,), texts=("a",)),
    ],
)
def test_specs_survive_json(spec: TensorSpec) -> None:
    assert msgspec.json.decode(msgspec.json.encode(spec), type=TensorSpec) == spec


def test_defaults_are_left_out_of_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(TensorSpec("x", (None, 3), "float32"))) == {
        "name": "x",
        "shape": [None, 3],
        "dtype": "float32",
    }


@pytest.mark.parametrize("text", ['{"name": "x", "shape": [3], "dtype": "complex64"}', '{"name": "x", "shape": [3]}'])
def test_specs_that_are_none(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=TensorSpec)
