"""Where the names of points stand so that none covers another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Box", "Placed", "placed"]

_LETTER, _LINE = 7.0, 15.0  # of 12 pixel text
_MISTAKEN, _HIDDEN = 60.0, 40.0  # what it costs to stand nearer to another point, or to be led to one beneath another
_NEAR = 4.0  # pixels by which another point must be nearer to be taken for the label's own
_RINGS = (0.0, 14.0, 28.0, 44.0, 62.0, 80.0, 100.0)


@dataclass(frozen=True, slots=True)
class Placed:
    """A label in pixels.

    Attributes:
        at: Where its `side` stands, whatever font it is written in.
        middle: Its height.
        apart: Whether a line must lead from its centre to its point.
    """

    at: float
    side: Literal["left", "center", "right"]
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
        others = [other for other in points if math.dist(other[:2], (x, y)) > _NEAR]
        best: tuple[float, Placed, Box] | None = None
        for ring in _RINGS:
            for dx, dy in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1)):
                gap = r + 4 + ring
                left = x + (gap if dx > 0 else -gap - long if dx < 0 else -long / 2)
                middle = y + dy * (gap + (_LINE / 2 if dx == 0 else ring / 2))
                box = (left, middle - _LINE / 2, left + long, middle + _LINE / 2)
                outside = max(0.0, -box[0], box[2] - width) + max(0.0, -box[1], box[3] - height)
                cost = 50 * outside + sum(_shared(box, other) for other in taken) + ring
                own = _away(box, x, y)
                cost += _MISTAKEN * any(_away(box, *other[:2]) < own - _NEAR for other in others)
                centre = left + long / 2
                if ring:
                    cost += _HIDDEN * any(_crosses((centre, middle), (x, y), other) for other in others)
                if best is None or cost < best[0]:
                    side: Literal["left", "center", "right"] = "left" if dx > 0 else "right" if dx < 0 else "center"
                    at = {"left": left, "center": centre, "right": left + long}[side]
                    best = (cost, Placed(at, side, centre, middle, ring > 0), box)
        assert best is not None
        taken.append(best[2])
        found.append(best[1])
    return found


def _away(box: Box, x: float, y: float) -> float:
    """How far a box is from a point."""
    return math.hypot(max(box[0] - x, 0.0, x - box[2]), max(box[1] - y, 0.0, y - box[3]))


def _crosses(start: tuple[float, float], end: tuple[float, float], mark: tuple[float, float, float]) -> bool:
    """Whether a line runs through a mark."""
    (x0, y0), (x1, y1), (x, y, radius) = start, end, mark
    dx, dy = x1 - x0, y1 - y0
    along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy or 1.0)
    along = min(1.0, max(0.0, along))
    return math.hypot(x0 + along * dx - x, y0 + along * dy - y) < radius


def _shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)
