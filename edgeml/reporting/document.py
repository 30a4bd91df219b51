"""Content of a report, independent of its output format."""

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
    "LineageNode",
    "Palette",
    "Section",
    "Table",
]

Spec = dict[str, Any]
"""A Vega-Lite specification, as nested dicts."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colors of a chart, as CSS colors.

    Attributes:
        ink: Text.
        muted: Secondary text and guide lines.
        line: Grid and axes.
        paper: Background.
        series: Data series, in order.
    """

    ink: str
    muted: str
    line: str
    paper: str
    series: tuple[str, ...]


# The page's style sheet defines these variables for light and dark mode, so that one rendering serves both.
PAGE = Palette(
    "var(--ink)", "var(--muted)", "var(--line)", "var(--paper)", tuple(f"var(--series-{i})" for i in range(1, 9))
)
# Same values as the style sheet's light mode: distinguishable for color-blind readers, contrast of 3 on white.
LIGHT = Palette(
    "#1b2027", "#5a6472", "#dfe3e8", "#ffffff",
    ("#1f6fb4", "#c05a12", "#16846b", "#8a4fa8", "#8f7300", "#b93a61", "#4f6b85", "#4c8527"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """Space that a chart is laid out for.

    Attributes:
        width: Width of the plot and its left axis, in pixels.
        narrow: Lay the chart out for phone width.
        palette: Colors to draw in.
    """

    width: int
    narrow: bool
    palette: Palette = PAGE


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Heading.
        figures: Align the cells to the right, so that digits line up.
    """

    title: str
    figures: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text.

    Attributes:
        title: Caption.
        columns: Columns, left to right.
        rows: Cells of each row, as many as there are columns.
        states: State of each row, which styles it: ``best``, ``rejected``, ``refused`` or empty.
        omitted: Number of rows that are not shown.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    states: tuple[str, ...] = ()
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, with the same content as a sentence and as a table for screen readers.

    Attributes:
        key: Identifier in the page.
        title: Heading.
        summary: Content of the chart, in a sentence or two.
        draw: Return the Vega-Lite specification for a frame. Each mark with a value has it in its description.
        table: Figures of the chart.
        note: How to read the chart, and what was left out.
    """

    key: str
    title: str
    summary: str
    draw: Callable[[Frame], Spec]
    table: Table
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A labeled value.

    Attributes:
        name: Label.
        value: Value, as text.
        detail: Further information, such as an interval.
    """

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LineageNode:
    """A box of the lineage diagram.

    Attributes:
        kind: Kind of thing, such as ``artifact``.
        name: Name of the thing.
        details: Further lines of text.
        state: Verdict on an artifact; otherwise empty.
    """

    kind: str
    name: str
    details: tuple[str, ...] = ()
    state: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Diagram of the steps from data to the package.

    Attributes:
        stages: Name and boxes of each stage, left to right.
        omitted: Number of artifacts that are not shown.
    """

    stages: tuple[tuple[str, tuple[LineageNode, ...]], ...]
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the report.

    Attributes:
        key: Identifier in the page.
        title: Heading.
        parts: Content, in order.
    """

    key: str
    title: str
    parts: tuple[Table | Chart | Lineage | tuple[Fact, ...] | str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A report.

    Attributes:
        title: Name and version of the package.
        subtitle: Source model and task.
        status: ``good`` if an artifact can be shipped, ``open`` if that is uncertain, ``bad`` if none can.
        verdict: Recommendation, in a few sentences.
        facts: Key figures.
        cautions: Reasons to doubt figures, and rejected or refused recipes.
        table: Artifacts.
        sections: Further sections, in order.
        generator: Name and version of the software that wrote the report.
    """

    title: str
    subtitle: str
    status: Literal["good", "open", "bad"]
    verdict: str
    facts: tuple[Fact, ...]
    cautions: tuple[str, ...]
    table: Table
    sections: tuple[Section, ...]
    generator: str
