"""Which classes suffer, and which labels become which others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgeml.core.records.evidence_details import Evidence
from edgeml.core.tensors import Label
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import first, points, shown

__all__ = ["Matrix", "classes_section", "matrix_chart"]

_MOST_CLASSES = 24
_MOST_LABELS = 20
_MOST_PAIRS = 15
_MOST_MATRICES = 3
_FEW = 4  # pairs that a picture says no better than a table
_LETTERS = 16
_NONE = "none of these"


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


def classes_section(details: Mapping[str, Evidence], labels: Sequence[Label], best: str | None) -> Section | None:
    """Recall by class and artifact, confusions, and what each artifact changes; None without any of it.

    Args:
        details: The evidence of each artifact, by recipe.
        labels: The source's.
        best: The artifact to ship, whose confusion matrix is shown beside the source's.
    """
    parts: list[Chart | Table | str] = []
    recalls = _recall_chart({name: one for name, one in details.items() if one.recalls})
    if recalls is not None:
        parts.append(recalls)
    parts += _confusions(details, labels, best)
    flipped = sorted((name for name, one in details.items() if one.flips), key=lambda name: -len(details[name].flips))
    matrices, left_out = first(flipped, _MOST_MATRICES)
    for number, name in enumerate(matrices):
        flips = details[name].flips
        counts = Counter((flip.source, _NONE if flip.artifact is None else flip.artifact) for flip in flips)
        title = f"Labels that {name} changes: {len(flips):,} sample{'s' * (len(flips) != 1)}"
        chart = matrix_chart(f"flips-{number}", Matrix(title, "source's label", f"label by {name}", counts))
        parts.append(chart if len(counts) >= _FEW else replace(chart.table, title=title))
    if left_out:
        parts.append(f"{left_out} more artifacts change fewer labels.")
    if not flipped and recalls is not None:
        parts.append("No artifact changes the label of any sample.")
    return Section("classes", "Classes", tuple(parts)) if parts else None


def _confusions(details: Mapping[str, Evidence], labels: Sequence[Label], best: str | None) -> list[Chart]:
    chosen = details.get(best or "") or next(iter(details.values()), Evidence())
    found = [("source", "the source", chosen.source_confusion)]
    found += [("artifact", best, chosen.confusion)] if best is not None else []
    charts = []
    for key, name, confusion in found:
        counts = {
            (labels[true], labels[given] if given >= 0 else _NONE): count
            for true, given, count in (confusion.cells if confusion is not None else ())
            if count
        }
        if counts:
            title = f"Confusion matrix of {name}"
            charts.append(matrix_chart(f"confusion-{key}", Matrix(title, "true class", "label given", counts)))
    return charts


def _recall_chart(details: Mapping[str, Evidence]) -> Chart | None:
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
    most = max(map(abs, lost.values()), default=0.0)
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
            "good": lost[label, name] < 0,
            "share": _share(abs(lost[label, name]), most),
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
        lambda frame: _heat(values, [titles[label] for label in labels], names, "class", "", frame, low=True),
        Table("Recall of the source, and points of it lost, by class", columns, rows, (), left_out),
        note,
    )


def matrix_chart(key: str, matrix: Matrix) -> Chart:
    """A confusion matrix, or any other of counts, as a heat map of the labels that count most.

    Args:
        key: Names it in the page.
        matrix: The counts.
    """
    # Errors first: of many classes those that are mistaken are shown.
    weights: Counter[Label] = Counter()
    for (row, column), count in matrix.counts.items():
        for label in (row, column):
            weights[label] += count if row != column else 0
    heavy, left_out = first([label for label, _ in weights.most_common()], _MOST_LABELS)
    kept = _in_order(heavy)
    titles = _distinct(kept)
    pairs = sorted(matrix.counts.items(), key=lambda pair: -pair[1])
    wrong = [(labels, count) for labels, count in pairs if labels[0] != labels[1]]
    told, pairs_left_out = first(wrong or pairs, _MOST_PAIRS)
    values: list[dict[str, object]] = [
        {
            "row": titles[row], "column": titles[column], "text": f"{count:,}", "good": row == column,
            "share": _share(count, max(other for (a, b), other in pairs if (a == b) == (row == column))),
            "told": f"{matrix.rows} {titles[row]}, {matrix.columns} {titles[column]}: {count:,} samples",
        }
        for (row, column), count in pairs
        if row in titles and column in titles
    ]  # fmt: skip
    summary = f"{matrix.title}. No sample gets another label."
    if wrong:
        (row, column), most = wrong[0]
        summary = f"{matrix.title}. Most often {shown(row)} becomes {shown(column)}, {most:,} times."
    columns = (Column(matrix.rows, figures=False), Column(matrix.columns, figures=False), Column("samples"))
    rows = tuple((shown(row), shown(column), f"{count:,}") for (row, column), count in told)
    order = [titles[label] for label in kept]
    return Chart(
        key,
        matrix.title,
        summary,
        lambda frame: _heat(values, order, order, matrix.rows, matrix.columns, frame),
        Table("Pairs of different labels" if wrong else "Pairs of labels", columns, rows, (), pairs_left_out),
        f"{left_out:,} more labels are left out." if left_out else "",
    )


def _share(number: float, most: float) -> float:
    """How deep a ground is: ink keeps a contrast of 4.5 on it, in the light and in the dark."""
    return round(0.07 + 0.5 * number / most, 3) if number else 0.04


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
    low: bool = False,
) -> Spec:
    """Cells whose ground is the deeper the larger their share; good ones have another colour."""
    palette = frame.palette
    room = 26 + round(6.8 * max(map(len, rows)))
    side = min(54 if low else 40, (frame.width - room - 20) / len(columns))
    letters = max(len(str(value["text"])) for value in values) if values else 0
    text = [] if letters * 6.2 > side else [{
        "mark": {"type": "text", "fontSize": 11, "aria": False, "color": palette.ink},
        "encoding": {"text": {"field": "text"}},
    }]  # fmt: skip
    axis: Spec = {"grid": False, "domain": False, "ticks": False}
    slanted = max(map(len, columns)) * 6.8 > side
    return {
        "width": side * len(columns),
        "height": (26 if low else min(40.0, max(22.0, side))) * len(rows),
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
                    "color": {"field": "good", "type": "nominal", "legend": None,
                              "scale": {"domain": [False, True], "range": [palette.series[1], palette.series[2]]}},
                    "description": {"field": "told"},
                },
            },
            *text,
        ],
    }  # fmt: skip
