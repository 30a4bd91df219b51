"""Number of samples that would settle an open verdict."""

from __future__ import annotations

import math
from bisect import bisect_left

from edgeml.core.records.evidence import Drop, McNemar
from edgeml.evaluation.drop import matched_interval

__all__ = ["samples_to_settle"]

_MAX_SAMPLES = 10**12  # beyond this the drop equals the goal up to rounding


def samples_to_settle(drop: Drop, bound: float, samples: int, mcnemar: McNemar | None) -> int | None:
    """Return the number of samples from which the drop's interval would exclude the goal, if more were like these.

    Args:
        drop: The measured drop.
        bound: The goal, which the interval contains.
        samples: Number of samples of the measurement.
        mcnemar: For classifiers, the numbers of samples that only the source or only the artifact classifies
            correctly; their shares are assumed to stay the same. Without it the interval is assumed to shrink with
            the square root of the number of samples.

    Returns:
        None where the drop equals the goal, so that no number suffices.
    """
    if drop.value == bound:
        return None

    def excludes_goal(count: int) -> bool:
        if mcnemar is not None:
            factor = count / samples
            low, high = matched_interval(mcnemar.lost * factor, mcnemar.gained * factor, count)
        else:
            factor = math.sqrt(samples / count)
            low = drop.value - (drop.value - drop.low) * factor
            high = drop.value + (drop.high - drop.value) * factor
        return not low <= bound < high

    limit = samples
    while not excludes_goal(limit):
        limit *= 2
        if limit > _MAX_SAMPLES:
            return None
    return samples + bisect_left(range(samples, limit), x=True, key=excludes_goal)
