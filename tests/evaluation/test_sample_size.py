"""The number of samples that settles an open verdict, against the textbook's formula and by making them."""

from __future__ import annotations

import numpy as np
import pytest

from edgeml.core.records.evidence import Drop, McNemar
from edgeml.evaluation import drop_of, mcnemar_of, samples_to_settle

Z = 1.959964


def paired(lost: int, gained: int, samples: int) -> tuple[Drop, McNemar]:
    """The drop and the test of so many differences."""
    counts = [samples - lost - gained, lost, gained]
    truth, source, artifact = np.ones(samples), np.repeat([1, 1, 0], counts), np.repeat([1, 0, 1], counts)
    drop = drop_of("classification", truth, source, artifact)
    assert drop is not None
    return drop, mcnemar_of(truth, source, artifact)


CASES = [(5, 3, 600, 0.01), (9, 2, 600, 0.01), (0, 0, 100, 0.01), (2, 6, 300, 0.005), (30, 10, 500, 0.05)]


@pytest.mark.parametrize(("lost", "gained", "samples", "bound"), CASES)
def test_so_many_samples_settle_it_and_a_tenth_less_do_not(lost: int, gained: int, samples: int, bound: float) -> None:
    drop, test = paired(lost, gained, samples)
    assert drop.low <= bound < drop.high
    needed = samples_to_settle(drop, bound, samples, test)
    assert needed is not None
    assert needed > samples
    for count, settled in ((needed, True), (0.9 * needed, False)):
        scaled, _ = paired(round(lost * count / samples), round(gained * count / samples), round(count))
        assert (bound >= scaled.high or bound < scaled.low) is settled


@pytest.mark.parametrize(("lost", "gained", "samples", "bound"), [(50, 30, 6000, 0.005), (90, 20, 6000, 0.01)])
def test_is_about_the_formula_of_textbooks(lost: int, gained: int, samples: int, bound: float) -> None:
    # n of a half-width w of a difference of matched proportions: z² · (discordant share - difference²) / w²
    drop, test = paired(lost, gained, samples)
    share, difference = (lost + gained) / samples, (lost - gained) / samples
    wanted = Z**2 * (share - difference**2) / (bound - difference) ** 2
    assert samples_to_settle(drop, bound, samples, test) == pytest.approx(wanted, rel=0.03)


def test_a_drop_that_is_the_goal_is_never_settled() -> None:
    drop, test = paired(6, 0, 600)
    assert samples_to_settle(drop, 0.01, 600, test) is None
    assert samples_to_settle(Drop("r2", 0.01, 0.0, 0.02, ""), 0.01, 600, None) is None


def test_nearer_than_rounding_is_the_goal_too() -> None:
    drop = Drop("r2", 0.01, 0.0, 0.02, "")
    assert samples_to_settle(drop, np.nextafter(0.01, 1), 600, None) is None


@pytest.mark.parametrize(("bound", "wanted"), [(0.02, 16 * 400), (0.005, 400 * (0.03 / 0.005) ** 2)])
def test_other_intervals_shrink_with_the_root(bound: float, wanted: float) -> None:
    drop = Drop("r2", 0.01, -0.02, 0.05, "bootstrap of 1000")
    needed = samples_to_settle(drop, bound, 400, None)
    assert needed == pytest.approx(wanted, abs=1)


def test_simulated_verdicts_are_mostly_settled() -> None:
    """With as many samples as were said, drawn anew, half of the intervals or more leave out the goal."""
    rng = np.random.default_rng(0)
    drop, test = paired(6, 4, 600)
    needed = samples_to_settle(drop, 0.01, 600, test)
    assert needed is not None
    settled = 0
    for lost, gained, _ in rng.multinomial(needed, [0.01, 4 / 600, 1 - 10 / 600], size=100):
        again, _ = paired(int(lost), int(gained), needed)
        settled += again.high <= 0.01
    assert settled >= 45
