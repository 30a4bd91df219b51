"""The metrics, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as theirs

from edgeml.evaluation import class_recalls, metrics_of, worst_class

SEEDS = range(8)


def scored(rng: np.random.Generator, samples: int, classes: int) -> np.ndarray:
    """Probabilities with ties: rounded to two digits."""
    raw = rng.dirichlet(np.ones(classes), samples)
    return (raw.round(2) / raw.round(2).sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("classes", [3, 10])
def test_classification_equals_scikit_learn(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    scores = scored(rng, 200, classes)
    truth = rng.permutation(np.arange(200) % classes)
    predicted = scores.argmax(axis=1)
    found = metrics_of("classification", truth, scores, predicted)
    assert found.accuracy == pytest.approx(theirs.accuracy_score(truth, predicted))
    assert found.f1 == pytest.approx(theirs.f1_score(truth, predicted, average="macro"))
    wanted = theirs.roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    assert found.auc == pytest.approx(wanted)
    assert found.mse is found.mae is found.r2 is found.relative_mse is None


@pytest.mark.parametrize("seed", SEEDS)
def test_f1_counts_classes_that_only_truth_or_only_prediction_has(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = scored(rng, 60, 6)
    scores[:, 4] = 0  # never predicted
    truth = rng.choice([0, 1, 2, 4], 60)  # 3 and 5 are never true
    predicted = scores.argmax(axis=1)
    found = metrics_of("classification", truth, scores, predicted)
    wanted = theirs.f1_score(truth, predicted, average="macro", zero_division=0)
    assert found.f1 == pytest.approx(wanted)
    assert found.auc is None  # a class without samples has none, in scikit-learn neither


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("columns", [1, 2])
def test_binary_equals_scikit_learn(seed: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(100).round(1).astype(np.float32)
    truth = (rng.random(100) < positive).astype(np.int64)
    scores = positive[:, None] if columns == 1 else np.stack([1 - positive, positive], axis=1)
    predicted = (positive > 0.5).astype(np.int64)
    found = metrics_of("classification", truth, scores, predicted)
    assert found.auc == pytest.approx(theirs.roc_auc_score(truth, positive))
    assert found.f1 == pytest.approx(theirs.f1_score(truth, predicted, average="macro"))


def test_one_class_has_no_auc() -> None:
    truth, scores = np.zeros(5, np.int64), np.array([[0.9], [0.2], [0.4], [0.1], [0.3]], np.float32)
    found = metrics_of("classification", truth, scores, np.array([1, 0, 0, 0, 0]))
    assert found.auc is None
    assert found.accuracy == pytest.approx(0.8)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3)])
def test_regression_equals_scikit_learn(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, [1, 5, 0.1][: shape[-1]] if len(shape) == 2 else 2, shape)
    values = (truth + rng.normal(0, 1, shape)).astype(np.float32)
    found = metrics_of("regression", truth, values.reshape(50, -1), None)
    assert found.mse == pytest.approx(theirs.mean_squared_error(truth, values))
    assert found.mae == pytest.approx(theirs.mean_absolute_error(truth, values))
    assert found.r2 == pytest.approx(theirs.r2_score(truth, values))
    assert found.accuracy is found.f1 is found.auc is found.relative_mse is None


def test_a_constant_target_does_not_count_in_r2() -> None:
    truth = np.stack([np.arange(4.0), np.ones(4)], axis=1)
    values = (truth + np.array([[0.5, 3.0]])).astype(np.float32)
    assert metrics_of("regression", truth, values, None).r2 == pytest.approx(theirs.r2_score(truth[:, 0], values[:, 0]))
    found = metrics_of("regression", truth[:, 1:], values[:, 1:], None)
    assert (found.r2, found.mse) == (None, 9.0)


def test_relative_error_of_a_reconstruction() -> None:
    truth = np.array([[1.0, 2.0], [3.0, 6.0]])  # variances 1 and 4
    values = truth + np.array([[1.0, 0.0], [0.0, 2.0]])  # mean squared error (1 + 4) / 4
    found = metrics_of("reconstruction", truth, values, None)
    assert found.relative_mse == pytest.approx(1.25 / 2.5)
    assert found.r2 is None
    assert metrics_of("reconstruction", np.ones((3, 2)), np.ones((3, 2)), None).relative_mse is None


def test_recalls_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(4, size=90), rng.integers(4, size=90)
    wanted = theirs.recall_score(truth, predicted, average=None)
    assert class_recalls(truth, predicted, 4) == pytest.approx(list(wanted))
    assert class_recalls(truth, predicted, 5)[4] is None


def test_the_worst_class_is_where_recall_falls_most() -> None:
    truth = np.array([0, 0, 1, 1, 1, 1, 2, 2])
    source = truth.copy()
    artifact = np.array([0, 1, 1, 1, 0, 1, 2, 2])
    worst = worst_class(truth, source, artifact, ["a", "b", "c", "never there"])
    assert worst is not None
    assert (worst.label, worst.source_recall, worst.recall, worst.samples) == ("a", 1.0, 0.5, 2)


def test_the_first_of_equally_bad_classes_is_named() -> None:
    truth = np.array([0, 1])
    worst = worst_class(truth, truth, truth, ["a", "b"])
    assert worst is not None
    assert worst.label == "a"
