"""Intervals against scipy, published ranks, and their coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgeml.measurement.quantiles import median, quantile, quantiles, rate


@pytest.mark.parametrize(
    ("count", "ranks"),
    # Conover, Practical Nonparametric Statistics, and the tables of the sign test: 95% intervals of a median.
    [(6, (1, 6)), (10, (2, 9)), (15, (4, 12)), (20, (6, 15)), (50, (18, 33)), (100, (40, 61))],
)
def test_the_interval_of_a_median_has_the_ranks_of_the_tables(count: int, ranks: tuple[int, int]) -> None:
    found = quantile(np.arange(1.0, count + 1), 0.5)
    assert found is not None
    assert (found.low, found.high) == ranks


@pytest.mark.parametrize("at", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("count", [120, 367, 368, 1000, 30_000])
def test_ends_are_those_of_the_binomial_distribution(count: int, at: float) -> None:
    ordered = np.arange(1.0, count + 1)
    found = quantile(ordered, at)
    assert found is not None
    assert found.value == np.quantile(ordered, at, method="inverted_cdf")
    hits = stats.binom(count, at)
    for end, rank in ((found.low, hits.ppf(0.025)), (found.high, hits.ppf(0.975) + 1)):
        assert end == (rank if 1 <= rank <= count else None)


def test_what_the_count_does_not_support_is_left_out() -> None:
    assert [item.at for item in quantiles(np.arange(1.0, 2))] == []
    assert [item.at for item in quantiles(np.arange(1.0, 10))] == [0.5]
    assert [item.at for item in quantiles(np.arange(1.0, 12))] == [0.5, 0.9]
    assert [item.at for item in quantiles(np.arange(1.0, 100))] == [0.5, 0.9, 0.95]
    found = quantiles(np.arange(1.0, 368))
    assert [item.at for item in found] == [0.5, 0.9, 0.95, 0.99]
    assert found[3].ms.high is None
    assert found[3].ms.low is not None
    few = median(np.array([1.0, 2.0, 3.0]))
    assert (few.value, few.low, few.high) == (2.0, None, None)


@pytest.mark.parametrize("at", [0.5, 0.99])
def test_intervals_hold_the_true_quantile_as_often_as_they_say(at: float) -> None:
    random, true, held = np.random.default_rng(0), stats.lognorm(1).ppf(at), 0
    for _ in range(400):
        found = quantile(np.sort(random.lognormal(size=600)), at)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= true <= found.high
    assert held >= 0.93 * 400  # 95% and what 400 draws make of it


def test_a_rate_has_the_interval_of_batch_means() -> None:
    seconds = np.random.default_rng(1).gamma(4, 0.001, 2000)
    found = rate(seconds, 8)
    assert found.value == pytest.approx(8 * 2000 / seconds.sum())
    means = seconds.reshape(20, 100).mean(axis=1)
    low, high = stats.t.interval(0.95, 19, loc=means.mean(), scale=stats.sem(means))
    assert found.low == pytest.approx(8 / high, rel=1e-4)
    assert found.high == pytest.approx(8 / low, rel=1e-4)
    few = rate(seconds[:39], 1)
    assert (few.low, few.high) == (None, None)


def test_the_interval_of_a_rate_bears_times_that_depend_on_each_other() -> None:
    random, held = np.random.default_rng(2), 0
    for _ in range(200):
        noise = random.normal(size=4010)
        smooth = np.convolve(noise, np.ones(11) / 11, "valid")  # each time is like the ten before it
        found = rate(0.01 + 0.001 * smooth, 1)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 100 <= found.high
    assert held >= 0.9 * 200
