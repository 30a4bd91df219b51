"""Goals for an artifact, and the verdict on it."""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Real
from typing import Literal

import msgspec
from msgspec import Struct

from edgeml.core.errors import InputError
from edgeml.core.recipe import Floor
from edgeml.core.system.text import printable

__all__ = ["DEFAULT_MAX_DROP", "Goal", "Remark", "Verdict", "check_goal", "parse_share"]

DEFAULT_MAX_DROP = 0.01
_DROP_LIMIT = 0.5  # who gives more, as 1 for 1%, would release what is useless
_OPEN = "open: "

_BOUNDS = (
    ("max_drop", float, 0.0, math.inf, "a number of at least 0"),
    ("max_size_bytes", int, 0.0, math.inf, "a whole number of at least 0"),
    ("max_p95_ms", float, 0.0, math.inf, "a number of at least 0"),
    ("min_sqnr_db", float, -math.inf, math.inf, "a number"),
    ("min_agreement", float, 0.0, 1.0, "a number from 0 to 1"),
)


class Goal(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bounds that an artifact must keep to be released.

    Attributes:
        max_drop: Largest accepted drop of the task's main metric against the source, as a fraction (0.01 is 1%):
            accuracy for classifiers, R² for regressors, F1 of multi-label models, mean IoU of segmentation, and so on;
            a rise of the relative mean squared error for reconstruction. Of several outputs the largest drop counts.
            None means 0.01 if there are labels. A build refuses values of 0.5 and more.
        max_size_bytes: Largest accepted size of the artifact's file.
        max_p95_ms: Largest accepted 95th percentile of the latency of one sample on one thread.
        min_sqnr_db: Parity floor of every recipe, in decibels, where it is higher than the recipe's own.
        min_agreement: Floor of the fraction of samples that get the source's label, where it is higher than the
            recipe's own.
        lower_floors: Whether `min_sqnr_db` and `min_agreement` also lower the floors of recipes. The package
            records it.

    Example:
        >>> Goal(max_drop=0.005, max_size_bytes=256 * 1024)
        Goal(max_drop=0.005, max_size_bytes=262144, ...)
    """

    max_drop: float | None = None
    max_size_bytes: int | None = None
    max_p95_ms: float | None = None
    min_sqnr_db: float | None = None
    min_agreement: float | None = None
    lower_floors: bool = False

    def __post_init__(self) -> None:
        for name, kind, low, high, expected in _BOUNDS:
            bound = getattr(self, name)
            if bound is None:
                continue
            invalid = isinstance(bound, bool) or not isinstance(bound, Real) or not math.isfinite(bound)
            if invalid or not low <= bound <= high or kind(bound) != bound:
                raise InputError(f"Goal: {name} is {bound!r}, expected {expected}.")
            msgspec.structs.force_setattr(self, name, kind(bound))  # 1 and numpy's 1.0 become 1.0

    def floor(self, recipe_floor: Floor) -> Floor:
        """Return the floor that holds for a recipe under this goal."""

        def pick(goal: float | None, floor: float) -> float:
            if goal is None:
                return floor
            return goal if self.lower_floors else max(goal, floor)

        return Floor(pick(self.min_sqnr_db, recipe_floor.sqnr_db), pick(self.min_agreement, recipe_floor.agreement))


def check_goal(goal: Goal) -> None:
    """Refuse a goal that cannot be meant, when a package is built. Packages that exist are read with any goal.

    Raises:
        InputError: `max_drop` is 0.5 or more.
    """
    if goal.max_drop is not None and goal.max_drop >= _DROP_LIMIT:
        raise InputError(
            f"max_drop: got {goal.max_drop:g}, expected less than {_DROP_LIMIT:g} ({_DROP_LIMIT:.0%}).",
            fix="give a fraction or a percentage: 1% or 0.01.",
        )


def parse_share(text: str) -> float:
    """Return the fraction that a text such as ``1%`` or ``0.01`` means.

    Raises:
        InputError: The text is not a number.
    """
    try:
        number = Decimal(text.removesuffix("%").strip())
        return float(number / 100 if text.endswith("%") else number)
    except ArithmeticError as error:
        raise InputError(
            f"got '{text}', expected a fraction or a percentage.", fix="give for instance 1% or 0.01."
        ) from error


class Remark(Struct, frozen=True):
    """A limit of the proof behind a verdict.

    Manifests keep remarks as text; the text of an open verdict begins with ``open: `` there.

    Attributes:
        text: Description of the limit.
        kind: ``open`` if the interval of the drop contains the goal, else ``note``.
    """

    text: str
    kind: Literal["note", "open"] = "note"

    def __str__(self) -> str:
        return f"{_OPEN}{self.text}" if self.kind == "open" else self.text

    @classmethod
    def parse(cls, text: str) -> Remark:
        """Return the remark that a manifest holds as text."""
        return cls(text.removeprefix(_OPEN), "open") if text.startswith(_OPEN) else cls(text)


class Verdict(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Decision whether an artifact meets floors and goals.

    Attributes:
        status: ``released`` artifacts may be chosen; ``rejected`` ones run only when they are named.
        reasons: Reasons of a rejection; empty for released artifacts.
        remarks: Limits of the proof, as the text of `Remark` values: an open interval, a constant reference, no labels.
        samples_to_settle: Number of samples such as these from which on the interval of the drop would not contain
            the goal any more; None if the interval does not contain the goal, or no number would suffice.
    """

    status: Literal["released", "rejected"]
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    samples_to_settle: int | None = None

    def __repr__(self) -> str:
        reasons = "; ".join(self.reasons)
        remarks = f", {len(self.remarks)} remark{'s' if len(self.remarks) > 1 else ''}" if self.remarks else ""
        return f"<Verdict {self.status}{reasons and ': '}{printable(reasons)}{remarks}>"

    def _repr_html_(self) -> str:
        from edgeml.core.html import html_table

        rows = [["reason", reason] for reason in self.reasons] + [["remark", remark] for remark in self.remarks]
        return html_table(f"Verdict: {self.status}", ["", ""], rows)

    @property
    def open_remarks(self) -> tuple[Remark, ...]:
        """Remarks that leave the verdict open."""
        return tuple(remark for remark in map(Remark.parse, self.remarks) if remark.kind == "open")

    @property
    def released(self) -> bool:
        """True if the artifact may be chosen."""
        return self.status == "released"
