"""Which classes suffer, and which labels become which others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgeml.core.tensors import Label
from edgeml.report.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.report.reading import Details
from edgeml.report.words import first, points, shown

__all__ = ["Matrix", "classes_section", "matrix_chart"]

_MOST_CLASSES = 24
_MOST_LABELS = 20
_MOST_PAIRS = 15
_MOST_MATRICES = 3
_FEW = 4  # pairs that a picture says no better than a table
_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts of pairs of labels.

    Attributes:
        rows: What the rows' labels are, as ``true class``. `columns`: the same.
        counts: By row's and column's label; those that are not there are 0.
    """

    title: str
    rows: str
    columns: str
    counts: Mapping[tuple[Label, Label], int]


def classes_section(details: Mapping[str, Details]) -> Section | None:
    """Recall by class and artifact, and the flips of each artifact; None without either.

    Args:
        details: The evidence of each artifact, by recipe.
    """
    parts: list[Chart | Table | str] = []
    recalls = _recall_chart({name: one for name, one in details.items() if one.recalls})
    if recalls is not None:
        parts.append(recalls)
    flipped = sorted((name for name, one in details.items() if one.flips), key=lambda name: -len(details[name].flips))
    matrices, left_out = first(flipped, _MOST_MATRICES)
    for number, name in enumerate(matrices):
        flips = details[name].flips
        counts = Counter((flip.source, flip.artifact) for flip in flips)
        title = f"Labels that {name} changes: {len(flips):,} sample{'s' * (len(flips) != 1)}"
        chart = matrix_chart(f"flips-{number}", Matrix(title, "source's label", f"label by {name}", counts))
        parts.append(chart if len(counts) >= _FEW else replace(chart.table, title=title))
    if left_out:
        parts.append(f"{left_out} more artifacts change fewer labels.")
    if not flipped and recalls is not None:
        parts.append("No artifact changes the label of any sample.")
    return Section("classes", "Classes", tuple(parts)) if parts else None


def _recall_chart(details: Mapping[str, Details]) -> Chart | None:
    if not details:
        return None
    source = {one.label: one.source for one in next(iter(details.values())).recalls if one.source is not None}
    lost: dict[tuple[Label, str], float] = {
        (one.label, name): one.source - one.artifact
        for name, found in details.items()
        for one in found.recalls
        if one.source is not None and one.artifact is not None
    }
    worst = {label: max((lost.get((label, name), 0.0) for name in details), default=0.0) for label in source}
    ordered = sorted(worst, key=lambda label: (-worst[label], source[label] or 0.0))
    labels, left_out = first(ordered, _MOST_CLASSES)
    if not labels:
        return None
    names = list(details)
    titles = _distinct(labels)
    head = labels[0]
    if worst[head] > 0:
        culprit = max(names, key=lambda name: lost.get((head, name), 0.0))
        summary = f"Recall lost by class. The most is {points(worst[head])} points of class {shown(head)} by {culprit}."
    else:
        summary = f"Recall lost by class. No artifact loses any in the {len(source):,} classes."
    rows = tuple(
        (
            titles[label],
            f"{source[label]:.1%}",
            *(points(lost[label, name]) if (label, name) in lost else "–" for name in names),
        )
        for label in labels
    )
    columns = (Column("class", figures=False), Column("source"), *(Column(name) for name in names))
    values: list[dict[str, object]] = [
        {
            "row": titles[label],
            "column": name,
            "value": 100 * lost[label, name],
            "text": points(lost[label, name]) if round(1000 * lost[label, name]) else "·",
            "told": f"Class {titles[label]}, {name}: {points(lost[label, name])} points of recall lost, "
            f"of the source's {source[label]:.1%}",
        }
        for label in labels
        for name in names
        if (label, name) in lost
    ]
    note = "Points of recall that an artifact loses against the source, the worst classes first; green where it gains."
    if left_out:
        note += f" {left_out:,} more classes are left out."
    return Chart(
        "recalls",
        "Recall lost by class, points",
        summary,
        lambda frame: _heat(values, [titles[label] for label in labels], names, "class", "", frame, signed=True),
        Table("Recall of the source, and points of it lost, by class", columns, rows, (), left_out),
        note,
    )


def matrix_chart(key: str, matrix: Matrix) -> Chart:
    """A confusion matrix, or any other of counts, as a heat map of the labels that count most.

    Args:
        key: Names it in the page.
        matrix: The counts.
    """
    weights: Counter[Label] = Counter()
    for (row, column), count in matrix.counts.items():
        weights[row] += count
        weights[column] += count
    heavy, left_out = first([label for label, _ in weights.most_common()], _MOST_LABELS)
    kept = _in_order(heavy)
    titles = _distinct(kept)
    pairs = sorted(matrix.counts.items(), key=lambda pair: -pair[1])
    told, pairs_left_out = first(pairs, _MOST_PAIRS)
    values: list[dict[str, object]] = [
        {
            "row": titles[row], "column": titles[column], "value": count, "text": f"{count:,}",
            "told": f"{matrix.rows} {titles[row]}, {matrix.columns} {titles[column]}: {count:,} samples",
        }
        for (row, column), count in pairs
        if row in titles and column in titles
    ]  # fmt: skip
    (row, column), most = pairs[0]
    summary = f"{matrix.title}. Most often {shown(row)} becomes {shown(column)}, {most:,} times."
    columns = (Column(matrix.rows, figures=False), Column(matrix.columns, figures=False), Column("samples"))
    rows = tuple((shown(row), shown(column), f"{count:,}") for (row, column), count in told)
    order = [titles[label] for label in kept]
    return Chart(
        key,
        matrix.title,
        summary,
        lambda frame: _heat(values, order, order, matrix.rows, matrix.columns, frame),
        Table("Pairs of labels", columns, rows, (), pairs_left_out),
        f"{left_out:,} more labels are left out." if left_out else "",
    )


def _in_order(labels: Sequence[Label]) -> list[Label]:
    return sorted(labels, key=lambda label: (isinstance(label, str), label))


def _distinct(labels: Sequence[Label]) -> dict[Label, str]:
    """A short text for each, unlike all others: a chart would put those of one text into one place."""
    titles: dict[Label, str] = {}
    seen: Counter[str] = Counter()
    for label in labels:
        text = shown(label, _LETTERS)
        seen[text] += 1
        titles[label] = text if seen[text] == 1 else f"{text} ({seen[text]})"
    return titles


def _heat(
    values: list[dict[str, object]],
    rows: Sequence[str],
    columns: Sequence[str],
    row_title: str,
    column_title: str,
    frame: Frame,
    *,
    signed: bool = False,
) -> Spec:
    """Cells whose ground is the deeper the larger the value; of signed ones gains have another colour."""
    palette = frame.palette
    room = 26 + round(6.8 * max(map(len, rows)))
    side = min(54 if signed else 40, (frame.width - room - 20) / len(columns))
    most = max([abs(float(str(value["value"]))) for value in values], default=0.0) or 1.0
    for value in values:
        number = float(str(value["value"]))
        value["share"] = round(0.07 + 0.63 * abs(number) / most, 3) if number else 0.04
        value["better"] = signed and number < 0
    letters = max(len(str(value["text"])) for value in values) if values else 0
    # Ink on a ground of at most 70% of the colour keeps its contrast, in the light and in the dark.
    text = [] if letters * 6.2 > side else [{
        "mark": {"type": "text", "fontSize": 11, "aria": False, "color": palette.ink},
        "encoding": {"text": {"field": "text"}},
    }]  # fmt: skip
    axis: Spec = {"grid": False, "domain": False, "ticks": False}
    slanted = max(map(len, columns)) * 6.8 > side
    return {
        "width": side * len(columns),
        "height": (26 if signed else min(40.0, max(22.0, side))) * len(rows),
        "data": {"values": values},
        "encoding": {
            "x": {"field": "column", "type": "nominal", "sort": list(columns), "title": column_title or None,
                  "scale": {"domain": list(columns)},
                  "axis": {**axis, "orient": "top", "labelAngle": -55 if slanted else 0,
                           "labelAlign": "left" if slanted else "center", "labelOverlap": False}},
            "y": {"field": "row", "type": "nominal", "sort": list(rows), "title": row_title,
                  "scale": {"domain": list(rows)}, "axis": axis},
        },
        "layer": [
            {
                "mark": {"type": "rect", "stroke": palette.paper, "strokeWidth": 2, "cornerRadius": 3},
                "encoding": {
                    "fillOpacity": {"field": "share", "type": "quantitative", "scale": None, "legend": None},
                    "color": {"field": "better", "type": "nominal", "legend": None,
                              "scale": {"domain": [False, True],
                                        "range": [palette.series[1] if signed else palette.series[0],
                                                  palette.series[2]]}},
                    "description": {"field": "told"},
                },
            },
            *text,
        ],
    }  # fmt: skip
