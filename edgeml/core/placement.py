"""Which operators of an artifact ran where, from the engine's own account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

__all__ = ["Placed", "Placement", "placed"]


class Placed(Struct, frozen=True):
    """Operators of one kind in one place.

    Attributes:
        operator: Their kind, as the format names it.
        place: What runs them, as the engine names it: a provider, a delegate, or its own kernels.
        count: How many.
        on_target: Whether that place is the target that was asked for.
    """

    operator: str
    place: str
    count: int
    on_target: bool = True


class Placement(Struct, frozen=True):
    """Where a session's operators run. `str` gives it in one line.

    Attributes:
        target: The target that was asked for.
        operators: By place and kind, sorted.
    """

    target: str
    operators: tuple[Placed, ...]

    @property
    def elsewhere(self) -> tuple[Placed, ...]:
        """Those that do not run on the target."""
        return tuple(item for item in self.operators if not item.on_target)

    def __str__(self) -> str:
        on_target = sum(item.count for item in self.operators if item.on_target)
        total = sum(item.count for item in self.operators)
        places: dict[str, list[str]] = {}
        for item in self.operators:
            places.setdefault(item.place, []).append(f"{item.operator}{f' ×{item.count}' if item.count > 1 else ''}")
        told = "; ".join(f"{place}: {', '.join(kinds)}" for place, kinds in places.items())
        return f"{on_target} of {total} operators on {self.target} ({told})"


def placed(found: Iterable[tuple[str, str, bool]]) -> tuple[Placed, ...]:
    """Counts operators.

    Args:
        found: Kind, place and whether that is the target, of each operator.
    """
    return tuple(
        Placed(operator, place, count, on_target)
        for (operator, place, on_target), count in sorted(
            Counter(found).items(), key=lambda item: (not item[0][2], item[0][1], item[0][0])
        )
    )
