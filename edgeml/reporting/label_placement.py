"""Placement of point labels without overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Box", "LabelPosition", "place_labels"]

_LETTER, _LINE = 7.0, 15.0  # width and height of a character of 12 pixel text
_AMBIGUOUS, _CROSSING = 60.0, 40.0  # costs of standing nearer to another point, and of a line across another point
_NEAR = 4.0  # pixels by which another point must be nearer to be mistaken for the label's own
_RINGS = (0.0, 14.0, 28.0, 44.0, 62.0, 80.0, 100.0)


@dataclass(frozen=True, slots=True)
class LabelPosition:
    """Position of a label, in pixels.

    Attributes:
        x: Horizontal position of the label's `side`, which does not depend on the font.
        side: Alignment of the text at `x`.
        center: Horizontal position of the label's center.
        middle: Vertical position of the label's center.
        needs_line: Whether a line must lead from the center to the point.
    """

    x: float
    side: Literal["left", "center", "right"]
    center: float
    middle: float
    needs_line: bool


Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a rectangle, in pixels."""


def place_labels(
    points: Sequence[tuple[float, float, float]],
    texts: Sequence[str],
    width: float,
    height: float,
    lines: Sequence[Box] = (),
) -> list[LabelPosition]:
    """Place labels next to points, in order, each at the nearest free spot.

    Args:
        points: Center and radius of each point, in pixels.
        texts: Label of each point.
        width: Width of the plot.
        height: Height of the plot.
        lines: Boxes around lines that labels should not cover.

    Returns:
        A position for each label.
    """
    obstacles: list[Box] = [*((x - r, y - r, x + r, y + r) for x, y, r in points), *lines]
    positions = []
    for (x, y, r), text in zip(points, texts, strict=True):
        text_width = _LETTER * len(text)
        others = [other for other in points if math.dist(other[:2], (x, y)) > _NEAR]
        best: tuple[float, LabelPosition, Box] | None = None
        for ring in _RINGS:
            for dx, dy in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1)):
                gap = r + 4 + ring
                left = x + (gap if dx > 0 else -gap - text_width if dx < 0 else -text_width / 2)
                middle = y + dy * (gap + (_LINE / 2 if dx == 0 else ring / 2))
                box = (left, middle - _LINE / 2, left + text_width, middle + _LINE / 2)
                outside = max(0.0, -box[0], box[2] - width) + max(0.0, -box[1], box[3] - height)
                cost = 50 * outside + sum(_overlap(box, other) for other in obstacles) + ring
                distance = _distance(box, x, y)
                cost += _AMBIGUOUS * any(_distance(box, *other[:2]) < distance - _NEAR for other in others)
                center = left + text_width / 2
                if ring:
                    cost += _CROSSING * any(_crosses((center, middle), (x, y), other) for other in others)
                if best is None or cost < best[0]:
                    side: Literal["left", "center", "right"] = "left" if dx > 0 else "right" if dx < 0 else "center"
                    anchor = {"left": left, "center": center, "right": left + text_width}[side]
                    best = (cost, LabelPosition(anchor, side, center, middle, ring > 0), box)
        assert best is not None
        obstacles.append(best[2])
        positions.append(best[1])
    return positions


def _distance(box: Box, x: float, y: float) -> float:
    """Return the distance from a box to a point."""
    return math.hypot(max(box[0] - x, 0.0, x - box[2]), max(box[1] - y, 0.0, y - box[3]))


def _crosses(start: tuple[float, float], end: tuple[float, float], mark: tuple[float, float, float]) -> bool:
    """Return whether a line crosses a mark."""
    (x0, y0), (x1, y1), (x, y, radius) = start, end, mark
    dx, dy = x1 - x0, y1 - y0
    along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy or 1.0)
    along = min(1.0, max(0.0, along))
    return math.hypot(x0 + along * dx - x, y0 + along * dy - y) < radius


def _overlap(first: Box, second: Box) -> float:
    """Return the area that two boxes share."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)
