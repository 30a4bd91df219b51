"""Of regressors and autoencoders: errors of the source beside those of an artifact, and where they rise most."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.core.records.evidence import Metrics
from edgeml.core.records.evidence_details import Evidence
from edgeml.package.explain import Explanation
from edgeml.reporting.charts import spaced
from edgeml.reporting.document import Chart, Column, Frame, Spec, Table
from edgeml.reporting.formatting import first, rise_text

__all__ = ["errors_table", "worst_outputs_chart", "worst_samples_chart"]

_MOST_OUTPUTS = 10
_ERRORS = {"mae": "MAE", "mse": "MSE", "r2": "R²", "relative_mse": "relative MSE"}


def errors_table(found: Sequence[Explanation]) -> Table | None:
    """All errors of each artifact; None of other tasks."""
    rises = [(one, one.evaluation.error_rise) for one in found if one.evaluation.error_rise is not None]
    if not rises:
        return None
    names = [
        name for name in _ERRORS if any(getattr(one.evaluation.metrics, name, None) is not None for one, _ in rises)
    ]
    columns = (
        Column("artifact", figures=False), *(Column(_ERRORS[name]) for name in names), Column("rise of MAE [95%]"),
    )  # fmt: skip
    rows = tuple(
        (
            one.recipe,
            *(_change(one.evaluation.source_metrics, one.evaluation.metrics, name) for name in names),
            rise_text(rise),
        )
        for one, rise in rises
    )
    return Table("Errors of the source → errors of the artifact, in the targets' units", columns, rows)


def worst_samples_chart(recipe: str, evidence: Evidence) -> Chart | None:
    """The samples whose error rises most by an artifact; None where none does."""
    worst = evidence.worst_samples
    if not worst:
        return None
    names = [f"sample {one.sample}" for one in worst]
    columns = (Column("sample"), Column("source's error"), Column(f"error of {recipe}"), Column("rise"))
    rows = tuple(
        (str(one.sample), f"{one.source:.4g}", f"{one.artifact:.4g}", f"{one.artifact - one.source:+.3g}")
        for one in worst
    )
    return Chart(
        "worst-samples",
        f"Samples whose error rises most by {recipe}",
        f"The {len(worst)} samples whose mean absolute error rises most by {recipe}. The most is {rows[0][3]}, of "
        f"{names[0]}.",
        lambda frame: _spec(names, [(one.source, one.artifact) for one in worst], recipe, "Mean absolute error", frame),
        Table("Mean absolute error of a sample, in the targets' units", columns, rows),
        "Samples by their position in the evaluation data; errors in the targets' units.",
    )


def worst_outputs_chart(recipe: str, evidence: Evidence) -> Chart | None:
    """The outputs whose squared error rises most by an artifact; None of a single one."""
    worst, left_out = first(evidence.outputs, _MOST_OUTPUTS)
    if not worst:
        return None
    names = [f"output {one.output}" for one in worst]
    squares = [(one.source.mse or 0.0, one.artifact.mse or 0.0) for one in worst]
    columns = (Column("output"), Column("MAE"), Column("MSE"), Column("R²"))
    rows = tuple(
        (str(one.output), *(_change(one.source, one.artifact, name) for name in ("mae", "mse", "r2"))) for one in worst
    )
    return Chart(
        "worst-outputs",
        f"Outputs whose error rises most by {recipe}",
        f"{len(worst)} outputs, those first whose mean squared error rises most by {recipe}: {names[0]} from "
        f"{squares[0][0]:.4g} to {squares[0][1]:.4g}.",
        lambda frame: _spec(names, squares, recipe, "Mean squared error", frame),
        Table("Errors of an output, of the source → of the artifact", columns, rows, (), left_out),
        "Outputs by their position in a sample." + (f" {left_out} more are left out." if left_out else ""),
    )


def _spec(names: Sequence[str], pairs: Sequence[tuple[float, float]], recipe: str, title: str, frame: Frame) -> Spec:
    """A row for each: the source's error, the artifact's, and a line between them."""
    palette, who = frame.palette, ["source", recipe]
    values = [
        {"name": name, "of": of, "error": error, "told": f"{name}, {of}: {error:.4g}"}
        for name, pair in zip(names, pairs, strict=True)
        for of, error in zip(who, pair, strict=True)
    ]
    lines = [{"name": name, "error": pair[0], "to": pair[1]} for name, pair in zip(names, pairs, strict=True)]
    ends = [end for pair in pairs for end in pair]
    y = {"field": "name", "type": "nominal", "title": None, "sort": list(names), "axis": {"grid": True}}
    x = {"field": "error", "type": "quantitative", "title": title,
         "scale": {"domain": spaced(min(ends), max(ends)), "nice": False, "zero": False},
         "axis": {"grid": False, "tickCount": 5 if frame.narrow else 9}}  # fmt: skip
    series = {"field": "of", "type": "nominal", "title": None, "sort": who}
    colour = {**series, "scale": {"domain": who, "range": [palette.series[6], palette.series[1]]}}
    return {
        "width": frame.width - 130,
        "height": 24 * len(names),
        "layer": [
            {"data": {"values": lines},
             "mark": {"type": "rule", "strokeWidth": 2, "color": palette.series[1], "opacity": 0.6, "aria": False},
             "encoding": {"y": y, "x": x, "x2": {"field": "to"}}},
            *(
                {"data": {"values": [value for value in values if value["of"] == of]},
                 "mark": {"type": "point", "filled": True, "opacity": 1, "size": size},
                 "encoding": {"y": y, "x": x, "color": colour, "description": {"field": "told"}}}
                # The source's mark is the larger one, and is seen behind an artifact's in the same place.
                for of, size in zip(who, (150, 50), strict=True)
            ),
        ],
    }  # fmt: skip


def _change(before: Metrics | None, after: Metrics | None, name: str) -> str:
    values = [getattr(metrics, name, None) for metrics in (before, after)]
    return " → ".join("–" if value is None else f"{value:.4g}" for value in values)
