"""How many samples would settle a verdict that is open."""

from __future__ import annotations

import math
from bisect import bisect_left

from edgeml.core.records.evidence import Drop, McNemar
from edgeml.evaluation.drop import matched_interval

__all__ = ["samples_to_settle"]

_MOST = 10**12  # more than anybody has: the drop is the goal, but for rounding


def samples_to_settle(drop: Drop, bound: float, samples: int, mcnemar: McNemar | None) -> int | None:
    """From how many samples on the drop's interval would leave out the goal, were the rest like those seen.

    Args:
        drop: What was found.
        bound: The goal, which its interval holds.
        samples: On how many.
        mcnemar: Of classifiers, the samples that the source or the artifact alone gets right: their shares are
            taken to stay. Without it the interval is taken to shrink with the root of the number.

    Returns:
        None where the drop is the goal itself, so that no number would do.
    """
    if drop.value == bound:
        return None

    def settled(count: int) -> bool:
        if mcnemar is not None:
            more = count / samples
            low, high = matched_interval(mcnemar.lost * more, mcnemar.gained * more, count)
        else:
            shrunk = math.sqrt(samples / count)
            low = drop.value - (drop.value - drop.low) * shrunk
            high = drop.value + (drop.high - drop.value) * shrunk
        return not low <= bound < high

    most = samples
    while not settled(most):
        most *= 2
        if most > _MOST:
            return None
    return samples + bisect_left(range(samples, most), x=True, key=settled)
