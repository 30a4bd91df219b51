"""The interval of a mean by simulation, and its width against scipy's Student's t."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgeml.evaluation.bootstrap import mean_interval

TRIES = 400


@pytest.mark.slow
@pytest.mark.parametrize("samples", [3, 10, 30, 200])
def test_few_samples_are_held_as_often_as_many(samples: int) -> None:
    random, held = np.random.default_rng(samples), 0
    for seed in range(TRIES):
        low, high = mean_interval(random.normal(1, 2, samples), seed)
        held += low <= 1 <= high
    assert held >= 0.92 * TRIES  # 95% and what 400 draws make of it


@pytest.mark.parametrize("samples", [20, 100])
def test_of_normal_values_it_is_nearly_students(samples: int) -> None:
    values = np.random.default_rng(1).normal(size=samples)
    wanted = stats.t.interval(0.95, samples - 1, loc=values.mean(), scale=stats.sem(values))
    found = np.mean([mean_interval(values, seed) for seed in range(20)], axis=0)
    assert found == pytest.approx(wanted, abs=0.05 * (wanted[1] - wanted[0]))
    assert found[1] - found[0] == pytest.approx(wanted[1] - wanted[0], rel=0.03)
