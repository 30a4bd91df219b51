"""What the caller gives beside the model: checked, and brought into one form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgeml.core.errors import InputError
from edgeml.core.source import SourceInfo, Task
from edgeml.core.tensors import Decision, Signature, TensorSpec
from edgeml.pipeline.data import (
    Judged,
    calibration_arrays,
    digest_of_arrays,
    judged_data,
    overlap,
    save_arrays,
    with_task,
)

X = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
Y = np.arange(12) % 3


def info(
    *outputs: int,
    task: Task | None = None,
    decision: Decision | None = None,
    framework: Any = "keras",
    inputs: dict[str, int] | None = None,
) -> SourceInfo:
    """A source with outputs of so many values."""
    meaning: Any = "scores" if decision else "values"
    takes = tuple(TensorSpec(name, (None, size), "float32") for name, size in (inputs or {"x": 4}).items())
    gives = tuple(
        TensorSpec(f"y{i}" if i else "y", (None, size), "float32", meaning=meaning) for i, size in enumerate(outputs)
    )
    return SourceInfo(framework, "Functional", Signature(takes, gives), task, decision, "sha256:" + "0" * 64, {})


SOFTMAX = info(3, task="classification", decision=Decision((0, 1, 2)))
SIGMOID = info(1, task="classification", decision=Decision((0, 1), threshold=0.5))
PLAIN = info(3)


def truth(evaluation: object, source: SourceInfo, **said: Any) -> np.ndarray | None:
    """The truth as it is judged by, after the task is settled."""
    settled = with_task(source, said.pop("task", None), said.pop("labels", None), evaluation)
    return judged_data(evaluation, None, settled).truth


# The task


def test_a_softmax_classifies() -> None:
    assert with_task(SOFTMAX, None, None, None) == SOFTMAX


def test_labels_name_the_classes() -> None:
    found = with_task(SOFTMAX, None, ["a", "b", "c"], None)
    assert found.decision == Decision(("a", "b", "c"))


def test_labels_may_be_numpys() -> None:
    found = with_task(SOFTMAX, None, list(np.array(["a", "b", "c"])), None)
    assert found.decision == Decision(("a", "b", "c"))
    assert found.decision is not None
    assert {type(label) for label in found.decision.labels} == {str}


def test_labels_of_a_sigmoid_keep_its_threshold() -> None:
    assert with_task(SIGMOID, None, ["no", "yes"], None).decision == Decision(("no", "yes"), threshold=0.5)


def test_labels_make_a_classifier_of_logits() -> None:
    found = with_task(PLAIN, None, ["a", "b", "c"], None)
    assert (found.task, found.decision) == ("classification", Decision(("a", "b", "c")))
    assert found.signature.outputs[0].meaning == "scores"


@pytest.mark.parametrize("y", [Y, Y.astype(np.uint8), np.array(["0", "1", "2"] * 4), np.array([0, 1, 2] * 4, object)])
def test_whole_numbers_or_text_as_truth_make_a_classifier_of_logits(y: np.ndarray) -> None:
    assert with_task(PLAIN, None, None, (X, y)).task == "classification"


@pytest.mark.parametrize("y", [np.ones((12, 3)), Y.astype(np.float64)])
def test_fractions_as_truth_make_no_classifier(y: np.ndarray) -> None:
    assert with_task(PLAIN, None, None, (X, y)).task == "regression"


def test_one_output_is_a_value_even_where_truth_is_whole() -> None:
    assert with_task(info(1), None, None, (X, Y)).task == "regression"


def test_inputs_given_back_are_a_reconstruction() -> None:
    assert with_task(info(4), None, None, X).task == "reconstruction"
    assert with_task(info(4), None, None, None).task == "reconstruction"
    assert with_task(info(4), None, None, (X, X)).task == "regression"


def test_what_the_caller_says_counts() -> None:
    found = with_task(SOFTMAX, "regression", None, None)
    assert (found.task, found.decision) == ("regression", None)
    assert found.signature.outputs[0].meaning == "values"
    assert with_task(PLAIN, "classification", None, None).decision == Decision((0, 1, 2))
    assert with_task(info(4), "regression", None, X).task == "regression"


@pytest.mark.parametrize(
    ("source", "said", "message"),
    [
        (SOFTMAX, {"labels": ["a", "b"]}, "labels: got 2, the model tells 3 classes apart"),
        (SOFTMAX, {"labels": ["a", "b", "a"]}, "two classes have the same name"),
        (SOFTMAX, {"labels": ["a", "b", None]}, "labels: got other than names"),
        (SOFTMAX, {"labels": [["a"], ["b"], ["c"]]}, "labels: got other than names"),
        (SOFTMAX, {"labels": ["a", 1, 2]}, "names of several kinds"),
        (SOFTMAX, {"labels": ["a", "b", "c"], "task": "regression"}, "the task is regression, which has none"),
        (SOFTMAX, {"task": "guesswork"}, "there is no task 'guesswork'"),
        (info(3, 2), {"task": "classification"}, "a classifier has one output of scores, the model has 2"),
        (info(1), {"task": "classification"}, "has no score for each class"),
        (
            info(3, framework="sklearn", task="classification", decision=Decision(("a", "b", "c"))),
            {"labels": ["x", "y", "z"]},
            "the estimator has its own",
        ),
        (info(3, framework="sklearn", task="regression"), {"task": "classification"}, "the estimator does regression"),
    ],
)
def test_what_does_not_fit_the_model(source: SourceInfo, said: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_task(source, said.get("task"), said.get("labels"), None)


# The truth


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
        ([[1, 2], [3]] * 6, "y is no regular array"),
    ],
)
def test_true_labels_that_do_not_fit(y: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        truth((X, y), SOFTMAX)


def test_numbers_stand_for_labels_that_are_numbers_and_never_for_their_positions() -> None:
    names = [str(number) for number in (0, 1, 10, 2)]  # as scikit-learn sorts them
    found = truth((np.zeros((4, 4)), np.array([0, 1, 2, 10])), info(4), task="classification", labels=names)
    assert found is not None
    assert found.tolist() == [0, 1, 3, 2]
    with pytest.raises(InputError, match="never seen: 3"):
        truth((np.zeros((4, 4)), np.array([0, 1, 2, 3])), info(4), task="classification", labels=names)


def test_one_hot_truth_of_logits_is_a_classification() -> None:
    assert with_task(info(3), None, None, (X, np.eye(3)[np.arange(12) % 3])).task == "classification"


@pytest.mark.parametrize(
    ("units", "y"),
    [(1, np.arange(12) % 2), (1, (np.arange(12) % 2)[:, None]), (3, np.array([[1, 1, 0], [0, 0, 1]] * 6))],
)
def test_zeros_and_ones_without_a_sigmoid_are_not_guessed_about(units: int, y: np.ndarray) -> None:
    with pytest.raises(InputError, match="nothing but 0 and 1") as caught:
        with_task(info(units), None, None, (X, y))
    assert "task='regression'" in caught.value.fix
    assert with_task(info(units), "regression", None, (X, y)).task == "regression"


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
    np.testing.assert_array_equal(truth((X, np.arange(12)), info(1)), np.arange(12.0)[:, None])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones((12, 2)), r"shape \[12, 2\], the model gives numbers of shape \[12, 3\]"),
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
    np.testing.assert_array_equal(truth(X, info(4)), X)


def test_transformers_have_no_truth() -> None:
    assert truth((X, Y), info(3), task="transformation") is None


def test_truth_for_several_outputs() -> None:
    with pytest.raises(InputError, match="several outputs"):
        truth((X, np.ones((12, 3))), info(3, 2))
    assert truth(X, info(3, 2)) is None


def test_a_tuple_of_three() -> None:
    with pytest.raises(InputError, match=r"got a tuple of 3, expected \(x, y\)"):
        truth((X, Y, Y), SOFTMAX)


# The evaluation inputs


def test_evaluation_is_what_is_judged_on() -> None:
    found = judged_data((X, Y), {"x": X[:3]}, SOFTMAX)
    assert (found.origin, found.samples) == ("evaluation", 12)


def test_without_evaluation_it_is_calibration() -> None:
    found = judged_data(None, {"x": X[:3]}, SOFTMAX)
    assert (found.origin, found.samples, found.truth) == ("calibration", 3, None)


def test_without_anything_it_is_drawn_and_always_the_same() -> None:
    first, second = (judged_data(None, None, info(2, inputs={"a": 3, "b": 5})) for _ in range(2))
    assert (first.origin, first.samples, first.truth) == ("drawn", 256, None)
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
        (X[:0], "evaluation: there are no samples"),
        (X[:, :3], r"evaluation, input 'x': got shape \[12, 3\], expected \[samples, 4\]"),
        (GAPS, r"evaluation, input 'x': sample 3 holds NaN or infinity \(1 of 12 samples do\)"),
        (X.astype(str), "evaluation, input 'x': got dtype <U"),
        ({"z": X}, r"evaluation: got inputs \['z'\], expected \['x'\]"),
        ([X, Y], "evaluation, input 'x': is no regular array"),
    ],
)
def test_evaluation_that_does_not_fit(x: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        judged_data(x, None, SOFTMAX)


def test_several_inputs() -> None:
    source = info(2, inputs={"a": 3, "b": 5}, task="regression")
    a, b = np.ones((7, 3)), np.ones((7, 5))
    assert list(judged_data({"b": b, "a": a}, None, source).inputs) == ["a", "b"]
    with pytest.raises(InputError, match="the model has 2 inputs"):
        judged_data(a, None, source)
    with pytest.raises(InputError, match=r"different numbers of samples: \{'a': 7, 'b': 6\}"):
        judged_data({"a": a, "b": b[:6]}, None, source)


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
        (X[:0], "calibration: there are no samples"),
        (X[:1], "calibration: the one sample shows no range of values"),
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
    source = info(1, inputs={"a": 4, "b": 2})
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


def test_arrays_are_saved_whatever_their_names(tmp_path: Path) -> None:
    files = save_arrays({"file": X, "../up": Y}, tmp_path / "arrays")
    assert {path.parent for path in files.values()} == {tmp_path / "arrays"}
    np.testing.assert_array_equal(np.load(files["file"]), X)
    np.testing.assert_array_equal(np.load(files["../up"]), Y)


def test_judged_counts_its_samples() -> None:
    assert Judged("evaluation", {"x": X}, None).samples == 12


def test_descriptions_survive_the_manifest() -> None:
    found = with_task(PLAIN, None, ["a", "b", "c"], None)
    assert msgspec.json.decode(msgspec.json.encode(found), type=SourceInfo) == found
