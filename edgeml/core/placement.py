"""Placement of operators on execution providers and delegates, as reported by the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

__all__ = ["OperatorCount", "Placement", "count_operators"]


class OperatorCount(Struct, frozen=True):
    """The number of operators of one type in one place.

    Attributes:
        operator: Operator type, in the format's naming.
        place: Provider, delegate or built-in kernels that run them, in the engine's naming.
        count: Number of operators.
        on_target: The place belongs to the requested target.
    """

    operator: str
    place: str
    count: int
    on_target: bool = True


class Placement(Struct, frozen=True):
    """The placement of a session's operators. `str` returns a one-line summary.

    Attributes:
        target: The requested target.
        operators: Operators by place and type, sorted.
    """

    target: str
    operators: tuple[OperatorCount, ...]

    @property
    def elsewhere(self) -> tuple[OperatorCount, ...]:
        """Operators that do not run on the target."""
        return tuple(item for item in self.operators if not item.on_target)

    def __str__(self) -> str:
        on_target = sum(item.count for item in self.operators if item.on_target)
        total = sum(item.count for item in self.operators)
        places: dict[str, list[str]] = {}
        for item in self.operators:
            places.setdefault(item.place, []).append(f"{item.operator}{f' ×{item.count}' if item.count > 1 else ''}")
        summary = "; ".join(f"{place}: {', '.join(kinds)}" for place, kinds in places.items())
        return f"{on_target} of {total} operators on {self.target} ({summary})"


def count_operators(operators: Iterable[tuple[str, str, bool]]) -> tuple[OperatorCount, ...]:
    """Count operators by type and place.

    Args:
        operators: For each operator its type, its place, and True if the place belongs to the target.
    """
    return tuple(
        OperatorCount(operator, place, count, on_target)
        for (operator, place, on_target), count in sorted(
            Counter(operators).items(), key=lambda item: (not item[0][2], item[0][1], item[0][0])
        )
    )
