"""Where the names of points stand so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Box", "Placed", "placed"]

_LETTER, _LINE = 6.6, 15.0  # of 12 pixel text
_RINGS = (0.0, 14.0, 28.0, 44.0, 62.0, 80.0, 100.0)


@dataclass(frozen=True, slots=True)
class Placed:
    """A label's left end, centre and height, in pixels, and whether a line must lead to its point."""

    left: float
    centre: float
    middle: float
    apart: bool


Box = tuple[float, float, float, float]


def placed(
    points: Sequence[tuple[float, float, float]],
    texts: Sequence[str],
    width: float,
    height: float,
    lines: Sequence[Box] = (),
) -> list[Placed]:
    """Places labels beside points, one after the other, at the nearest free spot.

    Args:
        points: Of each its place in pixels and its radius.
        texts: The labels.
        width: Of the plot.
        height: Of the plot.
        lines: Boxes about lines that labels had better not stand on: left, top, right, bottom.
    """
    taken: list[Box] = [*((x - r, y - r, x + r, y + r) for x, y, r in points), *lines]
    found = []
    for (x, y, r), text in zip(points, texts, strict=True):
        long = _LETTER * len(text)
        best: tuple[float, Box, bool] | None = None
        for ring in _RINGS:
            for dx, dy in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1)):
                gap = r + 4 + ring
                left = x + (gap if dx > 0 else -gap - long if dx < 0 else -long / 2)
                middle = y + dy * (gap + (_LINE / 2 if dx == 0 else ring / 2))
                box = (left, middle - _LINE / 2, left + long, middle + _LINE / 2)
                outside = max(0.0, -box[0], box[2] - width) + max(0.0, -box[1], box[3] - height)
                cost = 50 * outside + sum(_shared(box, other) for other in taken) + ring
                if best is None or cost < best[0]:
                    best = (cost, box, ring > 0)
        assert best is not None
        box = best[1]
        taken.append(box)
        found.append(Placed(box[0], (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, best[2]))
    return found


def _shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)
