"""The calibration of probabilities, against scikit-learn's curve and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from edgeml.core.decisions import Decision
from edgeml.evaluation import calibration_of

CLASSES = Decision((0, 1, 2, 3), probabilities=True)
YES = Decision(("no", "yes"), threshold=0.5, probabilities=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("digits", [2, 9])
def test_bins_equal_scikit_learns(seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.full(4, 0.4), 700).round(digits).astype(np.float32)
    truth = np.where(rng.random(700) < 0.6, scores.argmax(axis=1), rng.integers(4, size=700))
    found = calibration_of(truth, scores, CLASSES)
    assert found is not None
    top = scores.max(axis=1).astype(np.float64)
    right = scores.argmax(axis=1) == truth
    accuracy, confidence = calibration_curve(right, top, n_bins=15, strategy="uniform")
    full = [one for one in found.bins if one.samples]
    assert [one.accuracy for one in full] == pytest.approx(list(accuracy))
    assert [one.confidence for one in full] == pytest.approx(list(confidence))
    assert len(found.bins) == 15
    assert sum(one.samples for one in full) == 700
    gaps = [one.samples * abs(a - c) / 700 for one, a, c in zip(full, accuracy, confidence, strict=True)]
    assert found.ece == pytest.approx(sum(gaps))


def test_by_hand() -> None:
    scores = np.array([[0.95, 0.02, 0.02, 0.01]] * 4 + [[0.4, 0.3, 0.2, 0.1]] * 2, np.float32)
    found = calibration_of(np.array([0, 0, 0, 1, 0, 3]), scores, CLASSES)
    assert found is not None
    assert (found.bins[14].samples, found.bins[14].accuracy) == (4, 0.75)  # above 14 / 15
    assert (found.bins[6].samples, found.bins[6].accuracy) == (2, 0.5)  # 0.4 in float32 is above 6 / 15
    assert found.bins[0].confidence is None
    assert found.ece == pytest.approx(4 / 6 * 0.2 + 2 / 6 * 0.1)


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_one_probability_of_two_classes(shape: tuple[int, ...]) -> None:
    second = np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.1], np.float32)
    found = calibration_of(np.array([1, 0, 0, 0, 0, 1]), second.reshape(shape), YES)
    both = calibration_of(
        np.array([1, 0, 0, 0, 0, 1]), np.stack([1 - second, second], axis=1), Decision((0, 1), probabilities=True)
    )
    assert found is not None
    assert both is not None
    assert found.ece == pytest.approx(0.9 - 4 / 6, abs=1e-6)
    assert found.ece == pytest.approx(both.ece, abs=1e-6)


def test_integers_that_stand_for_a_little_more_than_one() -> None:
    found = calibration_of(np.zeros(3, np.int64), np.array([[1.0000002, 0.0]] * 3, np.float32), CLASSES)
    assert found is not None
    assert found.bins[14].samples == 3


def test_scores_that_are_no_probabilities_have_none() -> None:
    scores = np.array([[0.9, 0.1]])
    assert calibration_of(np.array([0]), scores, Decision((0, 1))) is None
    assert calibration_of(np.array([0]), scores[:, :1], Decision((0, 1), threshold=0.0)) is None
