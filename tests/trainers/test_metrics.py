from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.preprocessing import label_binarize

from edgeml.trainers.metrics import classification_metrics, reconstruction_metrics, regression_metrics

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("classes", [["a", "b", "c"], [3, 5, 9]], ids=["text", "numbers"])
def test_several_classes(classes: list[str | int]) -> None:
    names = np.array(classes)
    truth, scores = names[RNG.integers(0, 3, 200)], RNG.dirichlet([1, 1, 1], 200)
    predicted = names[scores.argmax(axis=1)]
    found = classification_metrics(truth, predicted, scores, names)
    assert found.accuracy == metrics.accuracy_score(truth, predicted)
    assert found.precision == metrics.precision_score(truth, predicted, average="macro")
    assert found.recall == metrics.recall_score(truth, predicted, average="macro")
    assert found.f1 == metrics.f1_score(truth, predicted, average="macro")
    assert found.roc_auc == pytest.approx(metrics.roc_auc_score(truth, scores, multi_class="ovr"))
    assert np.array(found.confusion).tolist() == metrics.confusion_matrix(truth, predicted).tolist()
    assert found.classes is not None
    assert [one.label for one in found.classes] == classes
    assert [one.recall for one in found.classes] == metrics.recall_score(truth, predicted, average=None).tolist()
    assert sum(one.samples for one in found.classes) == 200
    wild = scores * 7 - 3  # scores that are no probabilities, as of a decision function
    marks = label_binarize(truth, classes=names)
    assert classification_metrics(truth, predicted, wild, names).roc_auc == pytest.approx(
        metrics.roc_auc_score(marks, wild, average="macro")
    )


@pytest.mark.parametrize("columns", [0, 1, 2])
def test_two_classes(columns: int) -> None:
    truth, score = RNG.integers(0, 2, 100), RNG.random(100)
    scores = np.stack([1 - score, score], axis=1) if columns == 2 else score.reshape(100, *[1] * columns)
    found = classification_metrics(truth, (score > 0.5).astype(int), scores, np.array([0, 1]))
    assert found.roc_auc == metrics.roc_auc_score(truth, score)


def test_what_cannot_be_told_is_left_out() -> None:
    truth, predicted, names = np.zeros(9, int), np.zeros(9, int), np.array([0, 1])
    found = classification_metrics(truth, predicted, np.linspace(0, 1, 9), names)
    assert (found.accuracy, found.roc_auc) == (1.0, None)
    assert found.classes is not None
    assert (found.classes[1].recall, found.classes[1].samples) == (0.0, 0)
    assert classification_metrics(truth, predicted, None, names).roc_auc is None
    assert regression_metrics(np.ones(1), np.ones(1)).r2 is None


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
def test_values(shape: tuple[int, ...]) -> None:
    truth, predicted = RNG.normal(size=shape), RNG.normal(size=shape)
    found = regression_metrics(truth, predicted)
    assert found.mse == metrics.mean_squared_error(truth, predicted)
    assert found.mae == metrics.mean_absolute_error(truth, predicted)
    assert found.r2 == metrics.r2_score(truth, predicted)


def test_reconstruction() -> None:
    x, given = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3))
    found = reconstruction_metrics(x, given)
    assert found.mse == metrics.mean_squared_error(x, given)
    assert found.relative_mse == pytest.approx(
        1 - metrics.r2_score(x, given, multioutput="variance_weighted"), rel=1e-12
    )
    assert reconstruction_metrics(np.ones((3, 2)), np.ones((3, 2))).relative_mse is None
