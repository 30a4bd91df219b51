from __future__ import annotations

import numpy as np
import pytest

from edgeml.core.decisions import Decider, Decision, decide, positions
from edgeml.core.errors import TargetError
from edgeml.core.tensors import TensorSpec

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
        with pytest.raises(TargetError, match="returned unknown positions of labels"):
            decide(outputs, specs, decision)


def test_the_best_labels_and_their_scores() -> None:
    decider = Decider(SCORES, Decision(("a", "b", "c")))
    found = decider.top([np.array([[0.1, 0.7, 0.2], [0.4, 0.2, 0.4]], np.float32)], 2)
    assert found.labels.tolist() == [["b", "c"], ["a", "c"]]
    np.testing.assert_array_equal(found.scores, np.array([[0.7, 0.2], [0.4, 0.4]], np.float32))
    (labels, scores) = decider.top([np.array([[0.1, 0.2, 0.7]], np.float32)], 1)
    assert (labels.tolist(), scores.tolist()) == ([["c"]], [[np.float32(0.7)]])


@pytest.mark.parametrize(
    ("threshold", "probabilities", "first"),
    [(0.5, True, [0.75, 0.5, 0.25]), (0.0, False, [-0.25, -0.5, -0.75]), (0.5, False, [0.75, 0.5, 0.25])],
)
def test_one_score_for_two_labels(threshold: float, probabilities: bool, first: list[float]) -> None:
    spec = (TensorSpec("scores", (None, 1), "float32", meaning="scores"),)
    second = [0.25, 0.5, 0.75]
    decision = Decision(("no", "yes"), threshold, probabilities)
    decider, outputs = Decider(spec, decision), [np.array(second, np.float32)[:, None]]
    wanted = decider.labels(outputs)
    found = decider.top(outputs, 2)
    assert found.labels[:, 0].tolist() == wanted.tolist() == [["no", "yes"][score > threshold] for score in second]
    for label, score, no, yes in zip(found.labels[:, 0], found.scores[:, 0], first, second, strict=True):
        assert score == (yes if label == "yes" else no)
    assert found.scores.sum(axis=1).tolist() == [1, 1, 1] if probabilities or threshold else [0, 0, 0]


def test_the_models_own_label_is_the_first_of_the_best() -> None:
    """As of a support vector machine, whose probabilities are no part of its decision."""
    specs = (TensorSpec("label", (None,), "int64", meaning="label"), *SCORES)
    outputs = [np.array([30, 10]), np.array([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]], np.float32)]
    decider = Decider(specs, Decision((10, 20, 30)))
    assert decider.top(outputs, 3).labels.tolist() == [[30, 10, 20], [10, 20, 30]]
    assert decider.top(outputs, 1).scores.tolist() == [[np.float32(0.2)], [np.float32(0.1)]]
    with pytest.raises(TargetError, match="returned unknown labels, for instance 7; the model has 3 labels"):
        decider.top([np.array([30, 7]), outputs[1]], 1)
