"""The task of a source, from what the caller says and what the data show."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from edgeml.core.decisions import Decision
from edgeml.core.errors import InputError
from edgeml.core.source import SourceInfo
from edgeml.pipeline.task import with_task
from tests.support.source_infos import PLAIN, SIGMOID, SOFTMAX, X, Y, source_info


def settle(info: SourceInfo, task: Any = None, labels: Any = None, evaluation: object = None) -> SourceInfo:
    """The description with its task settled."""
    return with_task(info, task, labels, evaluation).info


def test_a_softmax_classifies() -> None:
    assert with_task(SOFTMAX, None, None, None) == (SOFTMAX, ())


def test_labels_name_the_classes() -> None:
    found = settle(SOFTMAX, None, ["a", "b", "c"], None)
    assert found.decision == Decision(("a", "b", "c"))


def test_labels_may_be_numpys() -> None:
    found = settle(SOFTMAX, None, list(np.array(["a", "b", "c"])), None)
    assert found.decision == Decision(("a", "b", "c"))
    assert found.decision is not None
    assert {type(label) for label in found.decision.labels} == {str}


def test_labels_of_a_sigmoid_keep_its_threshold() -> None:
    assert settle(SIGMOID, None, ["no", "yes"], None).decision == Decision(("no", "yes"), threshold=0.5)


def test_labels_make_a_classifier_of_logits() -> None:
    found = settle(PLAIN, None, ["a", "b", "c"], None)
    assert (found.task, found.decision) == ("classification", Decision(("a", "b", "c")))
    assert found.signature.outputs[0].meaning == "scores"


@pytest.mark.parametrize("y", [Y, Y.astype(np.uint8), np.array(["0", "1", "2"] * 4), np.array([0, 1, 2] * 4, object)])
def test_whole_numbers_or_text_as_truth_make_a_classifier_of_logits(y: np.ndarray) -> None:
    assert settle(PLAIN, None, None, (X, y)).task == "classification"


@pytest.mark.parametrize("y", [np.ones((12, 3)), Y.astype(np.float64)])
def test_fractions_as_truth_make_no_classifier(y: np.ndarray) -> None:
    assert settle(PLAIN, None, None, (X, y)).task == "regression"


def test_one_output_is_a_value_even_where_truth_is_whole() -> None:
    assert settle(source_info(1), None, None, (X, Y)).task == "regression"


def test_an_output_of_the_inputs_shape_is_not_taken_for_a_reconstruction() -> None:
    """A sine predictor has it too. What was assumed is said, with the way to say otherwise."""
    info, remarks = with_task(source_info(4), None, None, X)
    assert info.task == "regression"
    assert "task='reconstruction'" in remarks[0]
    assert with_task(source_info(3), None, None, X).remarks == ()
    assert with_task(source_info(4), "reconstruction", None, X).remarks == ()


def test_what_the_caller_says_counts() -> None:
    found = settle(SOFTMAX, "regression", None, None)
    assert (found.task, found.decision) == ("regression", None)
    assert found.signature.outputs[0].meaning == "values"
    assert settle(PLAIN, "classification", None, None).decision == Decision((0, 1, 2))
    assert settle(source_info(4), "regression", None, X).task == "regression"


@pytest.mark.parametrize(
    ("source", "said", "message"),
    [
        (SOFTMAX, {"labels": ["a", "b"]}, "labels: got 2, expected 3, one for each class"),
        (SOFTMAX, {"labels": ["a", "b", "a"]}, "labels: 'a' is at index 0 and at index 2"),
        (SOFTMAX, {"labels": ["a", "b", None]}, "labels: expected a list of str, .*got NoneType at index 2"),
        (SOFTMAX, {"labels": [["a"], ["b"], ["c"]]}, "labels: expected a list of str, .*got list at index 0"),
        (SOFTMAX, {"labels": ["a", 1, 2]}, "got str at index 0 and int at index 1"),
        (
            SOFTMAX,
            {"labels": ["a", "b", "c"], "task": "regression"},
            "only classifiers have labels, .* is regression",
        ),
        (SOFTMAX, {"task": "guesswork"}, "task: 'guesswork' is not supported"),
        (source_info(1), {"task": "classification"}, "expected a score for each class"),
        (PLAIN, {"task": "anomaly"}, r"a reconstruction of the input \[4\], and the output has \[3\]"),
        (
            source_info(3, framework="sklearn", task="classification", decision=Decision(("a", "b", "c"))),
            {"labels": ["x", "y", "z"]},
            "the estimator has its own",
        ),
        (
            source_info(3, framework="sklearn", task="regression"),
            {"task": "classification"},
            "the estimator's task is regression",
        ),
    ],
)
def test_what_does_not_fit_the_model(source: SourceInfo, said: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        settle(source, said.get("task"), said.get("labels"), None)


def test_one_hot_truth_of_logits_is_a_classification() -> None:
    assert settle(source_info(3), None, None, (X, np.eye(3)[np.arange(12) % 3])).task == "classification"


@pytest.mark.parametrize(
    ("units", "y"),
    [(1, np.arange(12) % 2), (1, (np.arange(12) % 2)[:, None]), (3, np.array([[1, 1, 0], [0, 0, 1]] * 6))],
)
def test_zeros_and_ones_without_a_sigmoid_are_not_guessed_about(units: int, y: np.ndarray) -> None:
    with pytest.raises(InputError, match="nothing but 0 and 1") as caught:
        settle(source_info(units), None, None, (X, y))
    assert "task='regression'" in caught.value.fix
    assert settle(source_info(units), "regression", None, (X, y)).task == "regression"


def test_descriptions_survive_the_manifest() -> None:
    found = settle(PLAIN, None, ["a", "b", "c"], None)
    assert msgspec.json.decode(msgspec.json.encode(found), type=SourceInfo) == found


def sigmoids(units: int) -> SourceInfo:
    """A model that ends in independent sigmoids."""
    decision = Decision(tuple(range(units)), threshold=0.5, probabilities=True, independent=True)
    return source_info(units, decision=decision)


def test_names_for_sigmoids_are_those_of_independent_labels() -> None:
    info = settle(sigmoids(3), labels=["a", "b", "c"])
    assert (info.task, info.decision and info.decision.independent) == ("multi-label", True)
    assert settle(sigmoids(3), evaluation=(X, np.array([[1, 1, 0], [0, 0, 1]] * 6))).task == "multi-label"


def test_what_the_truth_says_of_sigmoids() -> None:
    assert settle(sigmoids(3), evaluation=(X, Y)).task == "classification"
    info, remarks = with_task(sigmoids(3), None, None, (X, np.eye(3)[Y]))
    assert info.task == "classification"
    assert "task='multi-label'" in remarks[0]
    assert settle(sigmoids(3), evaluation=(X, np.full((12, 3), 0.3))).task == "regression"
    info, remarks = with_task(sigmoids(3), None, None, X)
    assert info.task == "regression"
    assert "task='multi-label'" in remarks[0]


def test_logits_of_independent_labels_decide_at_zero() -> None:
    decision = settle(PLAIN, task="multi-label").decision
    assert decision == Decision((0, 1, 2), threshold=0.0, independent=True)


def test_a_softmax_has_no_independent_labels() -> None:
    with pytest.raises(InputError, match="ends in a softmax") as caught:
        settle(SOFTMAX, task="multi-label")
    assert "sigmoid" in caught.value.fix


@pytest.mark.parametrize("task", ["segmentation", "sequence"])
def test_a_label_per_position_needs_positions(task: str) -> None:
    with pytest.raises(InputError, match=rf"{task} needs a label for each"):
        settle(SOFTMAX, task=task)


def test_tasks_and_labels_by_output() -> None:
    source = source_info(3, 3)
    first, second = (spec.name for spec in source.signature.outputs)
    info = settle(source, task={second: "classification"}, labels={second: ["a", "b", "c"]})
    assert (info.task, info.decision) == ("multi-output", None)
    assert info.heads[first].task == "regression"
    assert info.heads[second].decision == Decision(("a", "b", "c"))
    assert [spec.meaning for spec in info.signature.outputs] == ["values", "scores"]
    with pytest.raises(InputError, match="got one list") as caught:
        settle(source, labels=["a", "b", "c"])
    assert second in caught.value.fix
    with pytest.raises(InputError, match="task: got other, and the model's outputs are"):
        settle(source, task={"other": "regression"})
    with pytest.raises(InputError, match="a model with several outputs, each with a task of its own"):
        settle(source, task="multi-output")


def test_class_numbers_are_not_scores() -> None:
    integers = source_info(3)
    (output,) = integers.signature.outputs
    signature = msgspec.structs.replace(integers.signature, outputs=(msgspec.structs.replace(output, dtype="int32"),))
    integers = msgspec.structs.replace(integers, signature=signature)
    with pytest.raises(InputError, match="segmentation needs scores, and 'y' has integers, int32") as caught:
        settle(integers, task="segmentation")
    assert "argmax" in caught.value.fix
    info, remarks = with_task(integers, None, None, (X, np.ones((12, 3))))
    assert (info.task, info.decision) == (None, None)
    assert "not with y" in remarks[0]
