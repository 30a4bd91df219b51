"""The drop and its interval, against a worked example and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from edgeml.core.records.evidence import Drop
from edgeml.evaluation import drop_of

SIMULATIONS = 600
LEAST_COVERAGE = 0.93


def paired(both: int, lost: int, gained: int, neither: int) -> Drop:
    """The drop from a table of right and wrong answers of the source and the artifact."""
    source = np.repeat([1, 1, 0, 0], [both, lost, gained, neither])
    artifact = np.repeat([1, 0, 1, 0], [both, lost, gained, neither])
    drop = drop_of("classification", np.ones(len(source), np.int64), source, artifact)
    assert drop is not None
    return drop


def test_the_interval_of_a_worked_example() -> None:
    # The prime minister's approval ratings of Agresti's textbooks: 794 approved both times, 150 and 86 changed,
    # 570 disapproved. The plain Wald interval is 0.040 ± 1.96 · 0.0095; with half a sample added to each cell,
    # n = 1602, b = 150.5, c = 86.5: centre 64 / 1602, margin 1.96 · √(237 − 64² / 1602) / 1602.
    drop = paired(794, 150, 86, 570)
    assert drop.metric == "accuracy"
    assert drop.method == "Agresti-Min"
    assert drop.value == pytest.approx(0.04, abs=1e-12)
    assert drop.low == pytest.approx(64 / 1602 - 1.959964 * 15.311583 / 1602, abs=1e-6)
    assert drop.high == pytest.approx(64 / 1602 + 1.959964 * 15.311583 / 1602, abs=1e-6)
    assert (drop.low, drop.high) == pytest.approx((0.021, 0.059), abs=5e-4)  # the textbook's, to its digits


def test_no_flips_do_not_mean_no_uncertainty() -> None:
    drop = paired(10, 0, 0, 0)
    assert drop.value == 0
    assert drop.low < 0 < drop.high


def test_worse_is_positive() -> None:
    assert paired(5, 3, 1, 1).value == pytest.approx(0.2)
    assert paired(5, 1, 3, 1).value == pytest.approx(-0.2)


def test_the_drop_is_the_difference_of_the_accuracies() -> None:
    rng = np.random.default_rng(0)
    truth, source, artifact = (rng.integers(4, size=333) for _ in range(3))
    drop = drop_of("classification", truth, source, artifact)
    assert drop is not None
    assert drop.value == pytest.approx(accuracy_score(truth, source) - accuracy_score(truth, artifact))


@pytest.mark.parametrize(
    ("samples", "lost", "gained"), [(300, 0.02, 0.0), (600, 0.01, 0.005), (600, 0.03, 0.03), (50, 0.2, 0.1)]
)
def test_the_paired_interval_covers(samples: int, lost: float, gained: float) -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(SIMULATIONS):
        counts = rng.multinomial(samples, [0.9 - lost - gained, lost, gained, 0.1])
        drop = paired(*(int(count) for count in counts))
        covered += drop.low <= lost - gained <= drop.high
    assert covered / SIMULATIONS >= LEAST_COVERAGE


def test_no_drop_is_beyond_what_there_is() -> None:
    assert paired(0, 1, 0, 0).high == 1
    assert paired(0, 0, 1, 0).low == -1


@pytest.mark.parametrize("shape", [(80,), (80, 1), (80, 3)])
def test_the_drop_of_r2_is_the_difference_of_scikit_learns(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(1, 3, shape)
    source, artifact = truth + rng.normal(0, 0.5, shape), truth + rng.normal(0, 0.7, shape)
    drop = drop_of("regression", truth, source, artifact)
    assert drop is not None
    assert drop.metric == "r2"
    assert drop.value == pytest.approx(r2_score(truth, source) - r2_score(truth, artifact))
    assert drop.low < drop.value < drop.high


def test_the_rise_of_the_relative_error() -> None:
    truth = np.array([[1.0, 2.0], [3.0, 6.0]])  # variances 1 and 4, of mean 2.5
    drop = drop_of("reconstruction", truth, truth, truth + np.array([[1.0, 0.0], [0.0, 2.0]]))
    assert drop is not None
    assert drop.metric == "relative_mse"
    assert drop.value == pytest.approx(1.25 / 2.5)


@pytest.mark.parametrize("task", ["regression", "reconstruction"])
def test_the_resampled_interval_covers(task: str) -> None:
    rng = np.random.default_rng(5)
    # The artifact adds noise of variance 0.01 to a source whose errors have variance 0.04: relative to the truth's
    # variance of 1 the drop is 0.01.
    covered = 0
    for seed in range(200):
        truth = rng.normal(0, 1, (300, 1))
        source = truth + rng.normal(0, 0.2, truth.shape)
        artifact = source + rng.normal(0, 0.1, truth.shape)
        drop = drop_of(task, truth, source, artifact, seed=seed)  # type: ignore[arg-type]  # a parameter of text
        assert drop is not None
        covered += drop.low <= 0.01 <= drop.high
    assert covered / 200 >= 0.90  # squares are skewed, which costs a little of the 95%


def test_resampling_is_seeded() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(50, 2))
    source, artifact = truth + 0.1, truth + rng.normal(0, 0.1, truth.shape)
    first, second, other = (drop_of("regression", truth, source, artifact, seed=seed) for seed in (1, 1, 2))
    assert first == second != other


def test_an_artifact_like_its_source_drops_nothing() -> None:
    truth = np.arange(20.0)
    drop = drop_of("regression", truth, truth + 0.1, truth + 0.1)
    assert drop is not None
    assert (drop.value, drop.low, drop.high) == (0, 0, 0)


def test_many_outputs_of_which_each_varies_in_one_sample_only() -> None:
    """A resample seldom holds all of those samples, so that its own variances would be zero."""
    truth = np.eye(60)
    drop = drop_of("regression", truth, truth, truth + 0.01)
    assert drop is not None
    assert drop.low <= drop.value <= drop.high


@pytest.mark.parametrize("task", ["regression", "reconstruction"])
def test_constant_truth_has_no_drop(task: str) -> None:
    constant = np.ones((5, 1))
    assert drop_of(task, constant, constant, constant) is None  # type: ignore[arg-type]  # a parameter of text


@pytest.mark.parametrize("task", ["transformation", "clustering"])
def test_tasks_without_a_main_metric_have_no_drop(task: str) -> None:
    values = np.arange(4.0)
    assert drop_of(task, values, values, values) is None  # type: ignore[arg-type]  # a parameter of text
