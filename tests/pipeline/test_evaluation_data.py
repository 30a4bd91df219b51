"""What the caller gives beside the model: checked, and brought into one form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml.core.boxes import Boxes
from edgeml.core.errors import InputError
from edgeml.core.source import SourceInfo
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.pipeline.box_places import true_boxes
from edgeml.pipeline.evaluation_data import (
    EvaluationData,
    calibration_arrays,
    digest_of_arrays,
    evaluation_arrays,
    overlap,
)
from edgeml.pipeline.task import with_task
from tests.support.identity_onnx import write_identity_onnx
from tests.support.source_infos import PLAIN, SIGMOID, SOFTMAX, X, Y, source_info


def truth(evaluation: object, source: SourceInfo, **said: Any) -> np.ndarray | None:
    """The truth as it is judged by, after the task is settled."""
    settled = with_task(source, said.pop("task", None), said.pop("labels", None), evaluation).info
    return next(iter(evaluation_arrays(evaluation, None, settled).truth.values()), None)


# The truth


def test_truth_that_judges_nothing_is_refused() -> None:
    steps = msgspec.structs.replace(
        PLAIN, signature=Signature(PLAIN.signature.inputs, (TensorSpec("y", (None, 6, 3), "float32"),))
    )
    known = np.full((12, 6), -1)
    known[0, 0] = 2
    np.testing.assert_array_equal(truth((X, known), steps, task="sequence"), known)
    with pytest.raises(InputError, match="y is -1 at all positions"):
        truth((X, np.full((12, 6), -1)), steps, task="sequence")
    with pytest.raises(InputError, match="NaN or infinity, which are no identities"):
        truth((X, np.full(12, np.nan)), PLAIN, task="embedding")


def test_truth_of_several_outputs_is_refused_by_name() -> None:
    two = source_info(3, 1)
    for wrong, message in ((np.full(12, np.nan), "y of 'y1' holds NaN"), (np.zeros(5), "y of 'y1' has the shape")):
        with pytest.raises(InputError, match=message):
            truth((X, {"y1": wrong}), two, task={"y1": "regression"})


@pytest.mark.parametrize("boxes", [5, ["xyxy"]])
def test_boxes_are_a_format_or_a_dict(boxes: Any) -> None:
    with pytest.raises(InputError, match=f"boxes: got {type(boxes).__name__}"):
        with_task(PLAIN, None, None, X, boxes)


def test_true_boxes_of_another_format_are_refused() -> None:
    places = Boxes("xyxy", "y", "y", labels=("a", "b"))
    box = np.array([[1.0, 2.0, 1.0, 5.0, 1]])
    np.testing.assert_array_equal(true_boxes([box, np.zeros((0, 5))], 2, places), [box, [[-1] * 5]])
    reversed_box = np.array([[5.0, 2.0, 1.0, 5.0, 1]])
    with pytest.raises(InputError, match="a box in sample 1 that ends before it begins, by the format xyxy"):
        true_boxes([box, reversed_box], 2, places)
    assert true_boxes([box, reversed_box], 2, msgspec.structs.replace(places, format="xywh")).shape == (2, 1, 5)


@pytest.mark.parametrize(
    "y",
    [
        Y,
        Y.astype(np.uint8),
        Y.astype(np.float64),
        Y[:, None],
        Y.tolist(),
        np.eye(3)[Y],
        np.eye(3, dtype=bool)[Y],
        np.array(Y, object),
    ],
    ids=["int64", "uint8", "float64", "column", "list", "one-hot", "one-hot of bool", "objects"],
)
def test_forms_of_true_labels(y: object) -> None:
    np.testing.assert_array_equal(truth((X, y), SOFTMAX), Y)


@pytest.mark.parametrize(
    "y",
    [
        np.array(["a", "b", "c"] * 4),
        np.array(["a", "b", "c"] * 4, object),
        np.array([b"a", b"b", b"c"] * 4),
        [["a"], ["b"], ["c"]] * 4,
        Y,
        np.eye(3)[Y],
    ],
    ids=["text", "objects", "bytes", "column", "positions", "one-hot"],
)
def test_forms_of_true_labels_that_are_text(y: object) -> None:
    np.testing.assert_array_equal(truth((X, y), SOFTMAX, labels=["a", "b", "c"]), Y)


def test_true_labels_are_the_labels_not_their_positions() -> None:
    np.testing.assert_array_equal(truth((X, 10 * Y + 10), SOFTMAX, labels=[10, 20, 30]), Y)


@pytest.mark.parametrize("y", [Y > 0, (Y > 0).astype(int), (Y > 0)[:, None], np.eye(2)[(Y > 0).astype(int)]])
def test_forms_of_true_labels_of_a_sigmoid(y: object) -> None:
    np.testing.assert_array_equal(truth((X, y), SIGMOID), Y > 0)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(Y == 2, 7, Y), "never seen: 7; it knows 0, 1, 2"),
        (Y - 1, "never seen: -1"),
        (Y + 0.5, r"never seen: 0\.5, 1\.5, 2\.5"),
        (np.where(Y == 0, np.nan, Y), "never seen: nan"),
        (np.array(["cat", "dog", "cow"] * 4), "never seen: cat, cow, dog"),
        (np.array(["cat", "dog", "cow"] * 4, object), "never seen: cat, cow, dog"),
        (np.array([None, 1, 2] * 4, object), "never seen: None"),
        (Y[:11], r"y has the shape \[11\], x has 12 samples"),
        (np.float64(1), r"y has the shape \[\]"),
        (np.eye(3)[Y] / 2, "is not one-hot"),
        (np.ones((12, 3)), "is not one-hot"),
        (np.zeros((12, 2)), "expected one label for each sample"),
        (np.zeros((12, 1, 1)), "expected one label for each sample"),
        ([[1, 2], [3]] * 6, "y is not a regular array"),
    ],
)
def test_true_labels_that_do_not_fit(y: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        truth((X, y), SOFTMAX)


def test_numbers_stand_for_labels_that_are_numbers_and_never_for_their_positions() -> None:
    names = [str(number) for number in (0, 1, 10, 2)]  # as scikit-learn sorts them
    found = truth((np.zeros((4, 4)), np.array([0, 1, 2, 10])), source_info(4), task="classification", labels=names)
    assert found is not None
    assert found.tolist() == [0, 1, 3, 2]
    with pytest.raises(InputError, match="never seen: 3"):
        truth((np.zeros((4, 4)), np.array([0, 1, 2, 3])), source_info(4), task="classification", labels=names)


def test_true_labels_that_are_not_among_the_names() -> None:
    with pytest.raises(InputError, match="never seen: d; it knows a, b, c"):
        truth((X, ["a", "b", "d"] * 4), SOFTMAX, labels=["a", "b", "c"])
    with pytest.raises(InputError, match="never seen: 3"):
        truth((X, Y + 1), SOFTMAX, labels=["a", "b", "c"])


def test_many_unseen_classes_do_not_fill_the_screen() -> None:
    with pytest.raises(InputError) as caught:
        truth((X, np.arange(12) + 100), SOFTMAX)
    assert len(caught.value.message) < 200


def test_true_values() -> None:
    y = np.arange(36).reshape(12, 3)
    found = truth((X, y), PLAIN)
    np.testing.assert_array_equal(found, y)
    assert found is not None
    assert found.dtype == np.float64
    np.testing.assert_array_equal(truth((X, np.arange(12)), source_info(1)), np.arange(12.0)[:, None])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones((12, 2)), r"shape \[12, 2\], expected numbers of shape \[12, 3\]"),
        (np.full((12, 3), np.nan), "y holds NaN or infinity"),
        (np.full((12, 3), np.inf), "y holds NaN or infinity"),
        (np.full((12, 3), "1"), "y is <U1"),
        (np.ones((11, 3)), "x has 12 samples"),
    ],
)
def test_true_values_that_do_not_fit(y: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        truth((X, y), PLAIN)


def test_a_column_of_classes_for_logits_names_the_fix() -> None:
    with pytest.raises(InputError) as caught:
        truth((X, Y[:, None]), PLAIN)
    assert "task='classification'" in caught.value.fix


def test_the_truth_of_a_reconstruction_is_the_input() -> None:
    np.testing.assert_array_equal(truth(X, source_info(4), task="reconstruction"), X)


def test_transformers_have_no_truth() -> None:
    assert truth((X, Y), source_info(3), task="transformation") is None


def test_truth_for_several_outputs() -> None:
    source = source_info(3, 3)
    names = [spec.name for spec in source.signature.outputs]
    with pytest.raises(InputError, match="the model has 2 outputs, and y is ndarray") as caught:
        truth((X, np.ones((12, 3))), source)
    assert ", ".join(names) in caught.value.fix
    with pytest.raises(InputError, match="y has other, and the model's outputs are"):
        truth((X, {"other": Y}), source)
    assert truth(X, source) is None
    info = with_task(source, None, None, (X, {names[1]: Y})).info
    assert [info.heads[name].task for name in names] == ["regression", "classification"]
    assert list(evaluation_arrays((X, {names[1]: Y}), None, info).truth) == [names[1]]
    assert list(evaluation_arrays((X, [None, Y]), None, info).truth) == [names[1]]


def test_a_tuple_of_three() -> None:
    with pytest.raises(InputError, match=r"got a tuple of 3, expected \(x, y\)"):
        truth((X, Y, Y), SOFTMAX)


# The evaluation inputs


def test_evaluation_is_what_is_judged_on() -> None:
    found = evaluation_arrays((X, Y), {"x": X[:3]}, SOFTMAX)
    assert (found.origin, found.samples) == ("evaluation", 12)


def test_without_evaluation_it_is_calibration() -> None:
    found = evaluation_arrays(None, {"x": X[:3]}, SOFTMAX)
    assert (found.origin, found.samples, found.truth) == ("calibration", 3, {})


def test_without_anything_it_is_drawn_and_always_the_same() -> None:
    first, second = (evaluation_arrays(None, None, source_info(2, inputs={"a": 3, "b": 5})) for _ in range(2))
    assert (first.origin, first.samples, first.truth) == ("drawn", 256, {})
    assert {name: array.shape for name, array in first.inputs.items()} == {"a": (256, 3), "b": (256, 5)}
    assert all(array.dtype == np.float32 for array in first.inputs.values())
    assert not np.array_equal(first.inputs["a"], first.inputs["b"][:, :3])
    for name, array in first.inputs.items():
        np.testing.assert_array_equal(array, second.inputs[name])


GAPS = X.copy()
GAPS[3, 1] = np.nan


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:0], "evaluation: got 0 samples"),
        (X[:, :3], r"evaluation, input 'x': got shape \[12, 3\], expected \[samples, 4\]"),
        (GAPS, r"evaluation, input 'x': sample 3 holds NaN or infinity \(1 of 12 samples do\)"),
        (X.astype(str), "evaluation, input 'x': got dtype <U"),
        ({"z": X}, r"evaluation: got inputs \['z'\], expected \['x'\]"),
        ([X, Y], "evaluation, input 'x': expected a regular array, got parts of different shapes"),
    ],
)
def test_evaluation_that_does_not_fit(x: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluation_arrays(x, None, SOFTMAX)


def test_several_inputs() -> None:
    source = source_info(2, inputs={"a": 3, "b": 5}, task="regression")
    a, b = np.ones((7, 3)), np.ones((7, 5))
    assert list(evaluation_arrays({"b": b, "a": a}, None, source).inputs) == ["a", "b"]
    with pytest.raises(InputError, match="the model has 2 inputs"):
        evaluation_arrays(a, None, source)
    with pytest.raises(InputError, match=r"different numbers of samples: \{'a': 7, 'b': 6\}"):
        evaluation_arrays({"a": a, "b": b[:6]}, None, source)


# Calibration


def test_calibration_is_made_float32() -> None:
    found = calibration_arrays(X.astype(np.float64), SOFTMAX)
    assert found is not None
    assert found["x"].dtype == np.float32
    np.testing.assert_array_equal(found["x"], X)


def test_calibration_may_come_with_labels() -> None:
    found = calibration_arrays((X, Y), SOFTMAX)
    assert found is not None
    np.testing.assert_array_equal(found["x"], X)


def test_no_calibration() -> None:
    assert calibration_arrays(None, SOFTMAX) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X[:0], "calibration: got 0 samples"),
        (X[:1], "calibration: a single sample shows no range of values"),
        (np.ones((9, 4)), "calibration: all 9 samples are the same"),
        (GAPS, "calibration, input 'x': sample 3 holds NaN"),
        (X[:, :2], r"calibration, input 'x': got shape \[12, 2\], expected \[samples, 4\]"),
        (X[0], r"calibration, input 'x': got shape \[4\]"),
        (X.astype(object), "calibration, input 'x': got dtype object"),
        (X.astype(complex), "calibration, input 'x': got dtype complex"),
        ({"z": X}, "calibration: got inputs"),
    ],
)
def test_calibration_that_does_not_fit(data: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibration_arrays(data, SOFTMAX)


def test_one_constant_input_among_several_is_no_constant_calibration() -> None:
    source = source_info(1, inputs={"a": 4, "b": 2})
    assert calibration_arrays({"a": X, "b": np.ones((12, 2))}, source) is not None


# Overlap, digests, files


def test_overlap_is_counted_bit_for_bit() -> None:
    assert overlap({"x": X[:6]}, {"x": X[4:]}) == 2
    assert overlap({"x": X[:6]}, {"x": X[6:]}) == 0
    nudged = np.nextafter(X[:6], np.float32(9))
    assert overlap({"x": X[:6]}, {"x": nudged}) == 0
    assert overlap({"x": X}, {"x": np.repeat(X[:1], 5, axis=0)}) == 5


def test_overlap_of_several_inputs_needs_all_of_them() -> None:
    first, second = {"a": X, "b": X}, {"a": X, "b": X[::-1].copy()}
    assert overlap(first, first) == 12
    assert overlap(first, second) == 0


def test_digests_tell_arrays_apart() -> None:
    others: list[dict[str, np.ndarray]] = [
        {"x": X},
        {"y": X},
        {"x": X.astype(np.float64)},
        {"x": X.reshape(4, 12)},
        {"x": -X},
        {"x": X, "y": Y},
    ]
    assert len({digest_of_arrays(arrays) for arrays in others}) == len(others)
    assert digest_of_arrays({"x": X}) == digest_of_arrays({"x": np.asfortranarray(X)})


def test_judged_counts_its_samples() -> None:
    assert EvaluationData("evaluation", {"x": X}).samples == 12


def test_whole_numbers_are_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="inputs x accept whole numbers"):
        edgeml.build(write_identity_onnx(tmp_path, "int64"), recipes=["onnx-fp32"])
