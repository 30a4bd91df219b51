"""Errors of regressors and reconstructions, against scikit-learn and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from edgeml.evaluation import error_rise, output_errors, worst_samples


def noisy(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, source and artifact."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(2, 3, shape)
    source = truth + rng.normal(0, 0.5, shape)
    return truth, source.astype(np.float32), (source + rng.normal(0, 0.3, shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(90,), (90, 1), (90, 4), (90, 3, 5)])
def test_the_rise_is_the_difference_of_scikit_learns(shape: tuple[int, ...]) -> None:
    truth, source, artifact = (values.reshape(90, -1) for values in noisy(shape))
    found = error_rise(truth.reshape(shape), source.reshape(shape), artifact.reshape(shape))
    wanted = mean_absolute_error(truth, artifact) - mean_absolute_error(truth, source)
    assert found is not None
    assert found.value == pytest.approx(wanted)
    assert found.low < found.value < found.high
    assert found == error_rise(truth, source, artifact)  # seeded


def test_the_interval_of_the_rise_covers() -> None:
    # |e| of a normal error of deviation s has the mean s · √(2 / π).
    wanted = (np.hypot(0.5, 0.3) - 0.5) * np.sqrt(2 / np.pi)
    found = [error_rise(*noisy((200, 1), seed), seed=seed) for seed in range(200)]
    assert np.mean([one is not None and one.low <= wanted <= one.high for one in found]) >= 0.91


def test_one_sample_has_no_interval() -> None:
    assert error_rise(*noisy((1, 3))) is None


def test_the_worst_samples_are_those_whose_error_rose_most() -> None:
    truth, source, artifact = noisy((50, 3))
    before, after = (np.array([mean_absolute_error(*pair) for pair in zip(truth, values, strict=True)])
                     for values in (source, artifact))  # fmt: skip
    found = worst_samples(truth, source, artifact)
    assert [one.sample for one in found] == np.argsort(before - after)[:10].tolist()
    assert [one.artifact for one in found] == pytest.approx([after[one.sample] for one in found])
    assert [one.source for one in found] == pytest.approx([before[one.sample] for one in found])


def test_samples_that_did_not_get_worse_are_not_among_them() -> None:
    truth, source, _ = noisy((50,))
    assert worst_samples(truth, source, source) == ()
    other = source.copy()
    other[7] = truth[7] + 9
    (found,) = worst_samples(truth, source, other)
    assert found.sample == 7
    assert found.artifact == pytest.approx(9, rel=1e-6)


def test_each_output_has_its_own_figures() -> None:
    truth, source, artifact = noisy((80, 3))
    artifact[:, 1] += 2
    found = output_errors(truth, source, artifact)
    assert found[0].output == 1
    assert {one.output for one in found} == {0, 1, 2}
    for one in found:
        for values, metrics in ((source, one.source), (artifact, one.artifact)):
            column = truth[:, one.output], values[:, one.output]
            assert metrics.mse == pytest.approx(mean_squared_error(*column))
            assert metrics.mae == pytest.approx(mean_absolute_error(*column))
            assert metrics.r2 == pytest.approx(r2_score(*column))


def test_of_many_outputs_the_worst_hundred() -> None:
    truth, source, artifact = noisy((30, 12, 12))
    found = output_errors(truth, source, artifact)
    rises = [(one.artifact.mse or 0) - (one.source.mse or 0) for one in found]
    assert len(found) == 100
    assert rises == sorted(rises, reverse=True)
    assert output_errors(truth[:, 0, 0], source[:, 0, 0], artifact[:, 0, 0]) == ()
