"""McNemar's exact test, against SciPy, a published example and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from edgeml.core.records.evidence import McNemar
from edgeml.evaluation import mcnemar_of


def found_of(lost: int, gained: int, both: int = 5, neither: int = 3) -> McNemar:
    """The test of a source and an artifact with so many right and wrong answers."""
    source = np.repeat([1, 1, 0, 0], [both, lost, gained, neither])
    artifact = np.repeat([1, 0, 1, 0], [both, lost, gained, neither])
    return mcnemar_of(np.ones(len(source), np.int64), source, artifact)


def test_a_published_example() -> None:
    # 12 and 5 discordant pairs: "p (exact): 0.1435", https://stat-tools.xyz/mcnemar?alpha=0.05&b=12&c=5
    found = found_of(12, 5)
    assert (found.lost, found.gained) == (12, 5)
    assert round(found.p_value, 4) == 0.1435


def test_by_hand() -> None:
    assert found_of(1, 7).p_value == pytest.approx(2 * (1 + 8) / 2**8)
    assert found_of(6, 16).p_value == pytest.approx(2 * (1 + 22 + 231 + 1540 + 7315 + 26334 + 74613) / 2**22)
    assert found_of(0, 0).p_value == found_of(4, 4).p_value == 1.0


@pytest.mark.parametrize("lost", [0, 1, 2, 7, 20, 60])
@pytest.mark.parametrize("gained", [0, 1, 5, 19, 21, 300])
def test_equals_scipys_binomial_test(lost: int, gained: int) -> None:
    wanted = binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    assert found_of(lost, gained).p_value == pytest.approx(wanted, rel=1e-10)


def test_many_samples_neither_overflow_nor_lose_digits() -> None:
    assert found_of(499_000, 501_000).p_value == pytest.approx(binomtest(499_000, 1_000_000).pvalue, rel=1e-6)
    assert found_of(0, 100_000).p_value == 0.0  # below the smallest float


def test_samples_on_which_both_err_do_not_count() -> None:
    assert found_of(3, 9, both=0, neither=0).p_value == found_of(3, 9, both=1000, neither=1000).p_value


def test_another_wrong_label_is_no_difference() -> None:
    truth = np.array([0, 0, 0])
    assert mcnemar_of(truth, np.array([1, 1, 0]), np.array([2, -1, 0])) == McNemar(0, 0, 1.0)


def test_equal_models_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(0)
    found = [found_of(int(lost), 30 - int(lost)).p_value for lost in rng.binomial(30, 0.5, 2000)]
    assert np.mean(np.array(found) < 0.05) < 0.05  # the test is exact, so that it errs on the safe side
