"""What the user demands of an artifact, and what came of it."""

from __future__ import annotations

import math
from numbers import Real
from typing import Literal

import msgspec
from msgspec import Struct

from edgeml.core.errors import InputError
from edgeml.core.recipe import Floor
from edgeml.core.system.text import printable

__all__ = ["DEFAULT_MAX_DROP", "Goal", "Remark", "Verdict"]

DEFAULT_MAX_DROP = 0.01
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
        max_drop: The most that the task's main metric may fall below the source's: accuracy for
            classifiers, R² for regressors, relative mean squared error for reconstruction. Where it is
            None, 0.01 holds if there are labels.
        max_size_bytes: The most that the artifact's file may weigh.
        max_p95_ms: The most that the 95th percentile of the latency of one sample on one thread may be.
        min_sqnr_db: Raises the parity floor of every recipe, in decibels.
        min_agreement: Raises the floor of the share of samples that get the source's label.
        lower_floors: Take `min_sqnr_db` and `min_agreement` also where they are below a recipe's floor.
            The package records it.

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
            odd = isinstance(bound, bool) or not isinstance(bound, Real) or not math.isfinite(bound)
            if odd or not low <= bound <= high or kind(bound) != bound:
                raise InputError(f"Goal: {name} is {bound!r}, expected {expected}.")
            msgspec.structs.force_setattr(self, name, kind(bound))  # 1 and numpy's 1.0 become 1.0

    def floor(self, recipe_floor: Floor) -> Floor:
        """The floor that holds for a recipe under this goal."""

        def pick(wanted: float | None, floor: float) -> float:
            if wanted is None:
                return floor
            return wanted if self.lower_floors else max(wanted, floor)

        return Floor(pick(self.min_sqnr_db, recipe_floor.sqnr_db), pick(self.min_agreement, recipe_floor.agreement))


class Remark(Struct, frozen=True):
    """A limit of the proof behind a verdict.

    Manifests keep it as text; an open verdict's begins with ``open: `` there.

    Attributes:
        text: What limits the proof.
        kind: ``open`` where the interval of the drop contains the goal, else ``note``.
    """

    text: str
    kind: Literal["note", "open"] = "note"

    def __str__(self) -> str:
        return f"{_OPEN}{self.text}" if self.kind == "open" else self.text

    @classmethod
    def parse(cls, written: str) -> Remark:
        """Read the text form of a manifest."""
        return cls(written.removeprefix(_OPEN), "open") if written.startswith(_OPEN) else cls(written)


class Verdict(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whether an artifact meets floors and goals.

    Attributes:
        status: ``released`` artifacts may be chosen; ``rejected`` ones run only when they are named.
        reasons: Why it was rejected; empty where it was released.
        remarks: What limits the proof: an open interval, a constant reference, no labels; the text of `Remark` values.
        samples_to_settle: Where the interval of the drop holds the goal, of how many samples such as these it would
            no longer; None where it does not, and where no number would do.
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
        """The remarks that leave the verdict open."""
        return tuple(remark for remark in map(Remark.parse, self.remarks) if remark.kind == "open")

    @property
    def released(self) -> bool:
        """Whether the artifact may be chosen."""
        return self.status == "released"
