from __future__ import annotations

import numpy as np
import pytest

from edgeml.core.decisions import Decision, decide, positions
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
        with pytest.raises(TargetError, match="gives positions"):
            decide(outputs, specs, decision)
