"""What a report says, before it becomes a page, markdown or a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "LIGHT",
    "PAGE",
    "Chart",
    "Column",
    "Document",
    "Fact",
    "Frame",
    "Lineage",
    "Palette",
    "Section",
    "Step",
    "Table",
]

Spec = dict[str, Any]
"""A chart in the words of Vega-Lite."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of a chart: of the text, of what is less important, of lines, of the ground, of series."""

    ink: str
    muted: str
    line: str
    paper: str
    series: tuple[str, ...]


# The page's style sheet gives these their values, light or dark: a chart is drawn once for both.
PAGE = Palette(
    "var(--ink)", "var(--muted)", "var(--line)", "var(--paper)", tuple(f"var(--series-{i})" for i in range(1, 9))
)
# The same as the style sheet's light ones: hues that differ to colour-blind eyes, each of contrast 3 on white.
LIGHT = Palette(
    "#1b2027", "#5a6472", "#dfe3e8", "#ffffff",
    ("#1f6fb4", "#c05a12", "#16846b", "#8a4fa8", "#8f7300", "#b93a61", "#4f6b85", "#4c8527"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a chart is drawn.

    Attributes:
        width: Of the plot and its left axis, in pixels.
        narrow: Whether it is for a phone.
    """

    width: int
    narrow: bool
    palette: Palette = PAGE


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; figures stand at the right, so that their digits align."""

    title: str
    figures: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text.

    Attributes:
        title: What it shows.
        states: For each row, what marks it: ``best``, ``rejected``, ``refused`` or nothing.
        left_out: How many rows more there are.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    states: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, and the same in words and as a table for those who do not see it.

    Attributes:
        key: Names it in the page.
        summary: What it shows, in a sentence.
        draw: The chart for a frame. Each mark that has a value says it in its description.
        note: What was left out.
    """

    key: str
    title: str
    summary: str
    draw: Callable[[Frame], Spec]
    table: Table
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure or word with its name."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A box of the lineage: what it is, its name, and what more is known of it."""

    kind: str
    name: str
    details: tuple[str, ...] = ()
    state: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """From data by the model to artifacts, left to right; several boxes stand above each other."""

    stages: tuple[tuple[str, tuple[Step, ...]], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report with its heading."""

    key: str
    title: str
    parts: tuple[Table | Chart | Lineage | tuple[Fact, ...] | str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A report.

    Attributes:
        title: Name and version of the package.
        status: Whether anything may be shipped: ``good``, ``open`` or ``bad``.
        verdict: In a sentence or two.
        facts: The figures that count most.
        cautions: What makes figures doubtful.
        table: The artifacts.
    """

    title: str
    subtitle: str
    status: Literal["good", "open", "bad"]
    verdict: str
    facts: tuple[Fact, ...]
    cautions: tuple[str, ...]
    table: Table
    sections: tuple[Section, ...]
    made_by: str
