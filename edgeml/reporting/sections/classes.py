"""Recall by class, confusion matrices, and labels that artifacts change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgeml.core.records.evidence_details import ClassRecall, Evidence, LabelScore
from edgeml.core.tensors import Label
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.reporting.formatting import display_text, format_points, truncate

__all__ = ["Matrix", "classes_section", "matrix_chart"]

_MAX_CLASSES = 24
_MAX_LABELS = 20
_MAX_PAIRS = 15
_MAX_MATRICES = 3
_MIN_CELLS = 4  # below, a table shows the pairs as well as a chart
_MAX_LETTERS = 16
_NONE = "none of these"
_METRICS = {
    "multi-label": "F1",
    "sequence": "F1",
    "segmentation": "IoU",
    "detection": "Average precision",
}  # of a label


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts of pairs of labels.

    Attributes:
        title: Title of the matrix.
        rows: Meaning of the row labels, such as ``true class``.
        columns: Meaning of the column labels.
        counts: Samples by row label and column label; missing pairs count as 0.
    """

    title: str
    rows: str
    columns: str
    counts: Mapping[tuple[Label, Label], int]


def classes_section(
    details: Mapping[str, Evidence], labels: Sequence[Label], best: str | None, task: str | None = "classification"
) -> Section | None:
    """Return recall or another metric by class, confusion matrices, and changed labels; None without evidence of them.

    Args:
        details: Evidence of each artifact, by recipe.
        labels: Labels of the source.
        best: Recommended artifact, whose confusion matrix is shown next to the source's.
        task: Task of the source.
    """
    parts: list[Chart | Table | str] = []
    scores = {name: evidence.recalls or evidence.label_scores for name, evidence in details.items()}
    chart = _label_chart({name: each for name, each in scores.items() if each}, _METRICS.get(task or "", "Recall"))
    if chart is not None:
        parts.append(chart)
    parts += _confusions(details, labels, best)
    changing = sorted(
        (name for name, evidence in details.items() if evidence.flips), key=lambda name: -len(details[name].flips)
    )
    matrices, omitted = truncate(changing, _MAX_MATRICES)
    for number, name in enumerate(matrices):
        flips = details[name].flips
        counts = Counter((flip.source, _NONE if flip.artifact is None else flip.artifact) for flip in flips)
        title = f"Labels that {name} changes: {len(flips):,} sample{'s' * (len(flips) != 1)}"
        chart = matrix_chart(f"flips-{number}", Matrix(title, "source's label", f"label by {name}", counts))
        parts.append(chart if len(counts) >= _MIN_CELLS else replace(chart.table, title=title))
    if omitted:
        parts.append(f"{omitted} more artifacts change fewer labels.")
    if not changing and any(evidence.recalls for evidence in details.values()):
        parts.append("No artifact changes the label of any sample.")
    return Section("classes", "Classes", tuple(parts)) if parts else None


def _confusions(details: Mapping[str, Evidence], labels: Sequence[Label], best: str | None) -> list[Chart]:
    evidence = details.get(best or "") or next(iter(details.values()), Evidence())
    matrices = [("source", "the source", evidence.source_confusion)]
    matrices += [("artifact", best, evidence.confusion)] if best is not None else []
    charts = []
    for key, name, confusion in matrices:
        counts = {
            (labels[true], labels[predicted] if predicted >= 0 else _NONE): count
            for true, predicted, count in (confusion.cells if confusion is not None else ())
            if count
        }
        if counts:
            title = f"Confusion matrix of {name}"
            charts.append(matrix_chart(f"confusion-{key}", Matrix(title, "true class", "predicted class", counts)))
    return charts


def _label_chart(details: Mapping[str, Sequence[ClassRecall | LabelScore]], metric: str) -> Chart | None:
    """Return a heat map of what artifacts lose of a metric by label."""
    if not details:
        return None
    source = {item.label: item.source for item in next(iter(details.values())) if item.source is not None}
    losses: dict[tuple[Label, str], float] = {
        (item.label, name): item.source - item.artifact
        for name, items in details.items()
        for item in items
        if item.source is not None and item.artifact is not None
    }
    worst = {label: max((losses.get((label, name), 0.0) for name in details), default=0.0) for label in source}
    ordered = sorted(worst, key=lambda label: (-worst[label], source[label] or 0.0))
    labels, omitted = truncate(ordered, _MAX_CLASSES)
    if not labels:
        return None
    names = list(details)
    noun = metric if metric in {"F1", "IoU"} else metric.lower()
    titles = _unique_titles(labels)
    head = labels[0]
    if worst[head] > 0:
        worst_name = max(names, key=lambda name: losses.get((head, name), 0.0))
        summary = (
            f"{metric} lost by class. The most is {format_points(worst[head])}% of class {display_text(head)} by "
            f"{worst_name}."
        )
    else:
        summary = f"{metric} lost by class. No artifact loses any in the {len(source):,} classes."
    most = max(map(abs, losses.values()), default=0.0)
    rows = tuple(
        (
            titles[label],
            f"{source[label]:.1%}",
            *(format_points(losses[label, name]) if (label, name) in losses else "–" for name in names),
        )
        for label in labels
    )
    columns = (Column("class", figures=False), Column("source"), *(Column(name) for name in names))
    values: list[dict[str, object]] = [
        {
            "row": titles[label],
            "column": name,
            "good": losses[label, name] < 0,
            "share": _share(abs(losses[label, name]), most),
            "text": format_points(losses[label, name]) if round(1000 * losses[label, name]) else "·",
            "description": f"Class {titles[label]}, {name}: {format_points(losses[label, name])}% of {noun} lost, "
            f"of the source's {source[label]:.1%}",
        }
        for label in labels
        for name in names
        if (label, name) in losses
    ]
    note = f"{metric} in % that an artifact loses against the source, the worst classes first; green where it gains."
    if omitted:
        note += f" {omitted:,} more classes are left out."
    return Chart(
        "recalls",
        f"{metric} lost by class, %",
        summary,
        lambda frame: _heat_map(values, [titles[label] for label in labels], names, "class", "", frame, compact=True),
        Table(f"{metric} of the source, and {noun} lost in %, by class", columns, rows, (), omitted),
        note,
    )


def matrix_chart(key: str, matrix: Matrix) -> Chart:
    """Return a heat map of a confusion matrix, or of any counts, with the labels that are confused most.

    Args:
        key: Identifier of the chart in the page.
        matrix: Counts to show.
    """
    # With many classes, those with the most errors are shown.
    weights: Counter[Label] = Counter()
    for (row, column), count in matrix.counts.items():
        for label in (row, column):
            weights[label] += count if row != column else 0
    top_labels, omitted = truncate([label for label, _ in weights.most_common()], _MAX_LABELS)
    kept = _sorted_labels(top_labels)
    titles = _unique_titles(kept)
    pairs = sorted(matrix.counts.items(), key=lambda pair: -pair[1])
    wrong = [(labels, count) for labels, count in pairs if labels[0] != labels[1]]
    shown_pairs, pairs_left_out = truncate(wrong or pairs, _MAX_PAIRS)
    values: list[dict[str, object]] = [
        {
            "row": titles[row], "column": titles[column], "text": f"{count:,}", "good": row == column,
            "share": _share(count, max(other for (a, b), other in pairs if (a == b) == (row == column))),
            "description": f"{matrix.rows} {titles[row]}, {matrix.columns} {titles[column]}: {count:,} samples",
        }
        for (row, column), count in pairs
        if row in titles and column in titles
    ]  # fmt: skip
    summary = f"{matrix.title}. No sample gets another label."
    if wrong:
        (row, column), most = wrong[0]
        summary = f"{matrix.title}. Most often {display_text(row)} becomes {display_text(column)}, {most:,} times."
    columns = (Column(matrix.rows, figures=False), Column(matrix.columns, figures=False), Column("samples"))
    rows = tuple((display_text(row), display_text(column), f"{count:,}") for (row, column), count in shown_pairs)
    order = [titles[label] for label in kept]
    return Chart(
        key,
        matrix.title,
        summary,
        lambda frame: _heat_map(values, order, order, matrix.rows, matrix.columns, frame),
        Table("Pairs of different labels" if wrong else "Pairs of labels", columns, rows, (), pairs_left_out),
        f"{omitted:,} more labels are left out." if omitted else "",
    )


def _share(number: float, most: float) -> float:
    """Return the opacity of a cell; text keeps a contrast of 4.5 on it, in light and dark mode."""
    return round(0.07 + 0.5 * number / most, 3) if number else 0.04


def _sorted_labels(labels: Sequence[Label]) -> list[Label]:
    return sorted(labels, key=lambda label: (isinstance(label, str), label))


def _unique_titles(labels: Sequence[Label]) -> dict[Label, str]:
    """Return a short, unique title for each label; a chart would merge equal titles."""
    titles: dict[Label, str] = {}
    counts: Counter[str] = Counter()
    for label in labels:
        text = display_text(label, _MAX_LETTERS)
        counts[text] += 1
        titles[label] = text if counts[text] == 1 else f"{text} ({counts[text]})"
    return titles


def _heat_map(
    values: list[dict[str, object]],
    rows: Sequence[str],
    columns: Sequence[str],
    row_title: str,
    column_title: str,
    frame: Frame,
    *,
    compact: bool = False,
) -> Spec:
    """Return a heat map whose cells are more opaque the larger their share; good cells have another color."""
    palette = frame.palette
    margin = 26 + round(6.8 * max(map(len, rows)))
    side = min(54 if compact else 40, (frame.width - margin - 20) / len(columns))
    max_letters = max(len(str(value["text"])) for value in values) if values else 0
    text = [] if max_letters * 6.2 > side else [{
        "mark": {"type": "text", "fontSize": 11, "aria": False, "color": palette.ink},
        "encoding": {"text": {"field": "text"}},
    }]  # fmt: skip
    axis: Spec = {"grid": False, "domain": False, "ticks": False}
    slanted = max(map(len, columns)) * 6.8 > side
    return {
        "width": side * len(columns),
        "height": (26 if compact else min(40.0, max(22.0, side))) * len(rows),
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
                    "description": {"field": "description"},
                },
            },
            *text,
        ],
    }  # fmt: skip
