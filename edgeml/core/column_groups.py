"""Groups of an output's columns, or channels, whose values are of similar range."""

from __future__ import annotations

import numpy as np

__all__ = ["NEGLIGIBLE_RANGE", "describe_positions", "group_by_range", "is_softmax"]

NEGLIGIBLE_RANGE = 1e-6
"""Range of a column, beside the largest value, that is rounding of float32."""
_MAX_SPANS = 5
_SIMILAR = 10.0  # ratio of ranges up to which columns are judged, and quantized, together


def group_by_range(ranges: np.ndarray) -> list[np.ndarray]:
    """Return positions in groups of similar range, the largest first.

    Args:
        ranges: A positive range per position.
    """
    groups: list[list[int]] = []
    largest = 0.0
    for position in np.argsort(-ranges, kind="stable").tolist():
        if not groups or largest > _SIMILAR * ranges[position]:
            groups.append([])
            largest = float(ranges[position])
        groups[-1].append(position)
    return [np.array(sorted(group)) for group in groups]


def is_softmax(values: np.ndarray, axis: int) -> bool:
    """Return whether values are shares of one along an axis, which belong together whatever their ranges."""
    return bool((values >= 0).all() and np.allclose(values.sum(axis=axis), 1.0, atol=1e-3))


def describe_positions(positions: np.ndarray, axis: int, rank: int) -> str:
    """Describe positions of an axis as ``columns 0, 4 to 6``; of many spans the first."""
    starts = np.flatnonzero(np.diff(positions, prepend=positions[0] - 2) != 1)
    runs = np.split(positions, starts[1:])
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs[:_MAX_SPANS]]
    noun = "columns" if axis == rank - 1 else f"indices of axis {axis}"
    return f"{noun} {', '.join(texts)}" + (", …" if len(runs) > _MAX_SPANS else "")
