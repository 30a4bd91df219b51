"""Errors of regressors and autoencoders: source against artifact, and where they rise most."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.core.records.evidence import Metrics
from edgeml.core.records.evidence_details import Evidence
from edgeml.package.explain import Explanation
from edgeml.reporting.charts import pad_range
from edgeml.reporting.document import Chart, Column, Frame, Spec, Table
from edgeml.reporting.formatting import format_rise, truncate

__all__ = ["errors_table", "worst_outputs_chart", "worst_samples_chart"]

_MAX_OUTPUTS = 10
_ERRORS = {"mae": "MAE", "mse": "MSE", "r2": "R²", "relative_mse": "relative MSE"}


def errors_table(explanations: Sequence[Explanation]) -> Table | None:
    """Return all errors of each artifact; None for other tasks."""
    rises = [(item, item.evaluation.error_rise) for item in explanations if item.evaluation.error_rise is not None]
    if not rises:
        return None
    names = [
        name for name in _ERRORS if any(getattr(item.evaluation.metrics, name, None) is not None for item, _ in rises)
    ]
    columns = (
        Column("artifact", figures=False), *(Column(_ERRORS[name]) for name in names), Column("rise of MAE [95%]"),
    )  # fmt: skip
    rows = tuple(
        (
            item.recipe,
            *(_change(item.evaluation.source_metrics, item.evaluation.metrics, name) for name in names),
            format_rise(rise),
        )
        for item, rise in rises
    )
    return Table("Errors of the source → errors of the artifact, in the targets' units", columns, rows)


def worst_samples_chart(recipe: str, evidence: Evidence) -> Chart | None:
    """Return the samples with the largest rise of the error; None if no error rises."""
    worst = evidence.worst_samples
    if not worst:
        return None
    names = [f"sample {sample.sample}" for sample in worst]
    columns = (Column("sample"), Column("source's error"), Column(f"error of {recipe}"), Column("rise"))
    rows = tuple(
        (
            str(sample.sample),
            f"{sample.source:.4g}",
            f"{sample.artifact:.4g}",
            f"{sample.artifact - sample.source:+.3g}",
        )
        for sample in worst
    )
    return Chart(
        "worst-samples",
        f"Samples whose error rises most by {recipe}",
        f"The {len(worst)} samples whose mean absolute error rises most by {recipe}. The most is {rows[0][3]}, of "
        f"{names[0]}.",
        lambda frame: _spec(
            names, [(sample.source, sample.artifact) for sample in worst], recipe, "Mean absolute error", frame
        ),
        Table("Mean absolute error of a sample, in the targets' units", columns, rows),
        "Samples by their position in the evaluation data; errors in the targets' units.",
    )


def worst_outputs_chart(recipe: str, evidence: Evidence) -> Chart | None:
    """Return the outputs with the largest rise of the squared error; None for a model with a single output."""
    worst, omitted = truncate(evidence.outputs, _MAX_OUTPUTS)
    if not worst:
        return None
    names = [f"output {output.output}" for output in worst]
    squares = [(output.source.mse or 0.0, output.artifact.mse or 0.0) for output in worst]
    columns = (Column("output"), Column("MAE"), Column("MSE"), Column("R²"))
    rows = tuple(
        (str(output.output), *(_change(output.source, output.artifact, name) for name in ("mae", "mse", "r2")))
        for output in worst
    )
    return Chart(
        "worst-outputs",
        f"Outputs whose error rises most by {recipe}",
        f"{len(worst)} outputs, those first whose mean squared error rises most by {recipe}: {names[0]} from "
        f"{squares[0][0]:.4g} to {squares[0][1]:.4g}.",
        lambda frame: _spec(names, squares, recipe, "Mean squared error", frame),
        Table("Errors of an output, of the source → of the artifact", columns, rows, (), omitted),
        "Outputs by their position in a sample." + (f" {omitted} more are left out." if omitted else ""),
    )


def _spec(names: Sequence[str], pairs: Sequence[tuple[float, float]], recipe: str, title: str, frame: Frame) -> Spec:
    """Return a chart with a row per name: error of the source, error of the artifact, and a line between them."""
    palette, models = frame.palette, ["source", recipe]
    values = [
        {"name": name, "of": model, "error": error, "description": f"{name}, {model}: {error:.4g}"}
        for name, pair in zip(names, pairs, strict=True)
        for model, error in zip(models, pair, strict=True)
    ]
    lines = [{"name": name, "error": pair[0], "to": pair[1]} for name, pair in zip(names, pairs, strict=True)]
    ends = [end for pair in pairs for end in pair]
    y = {"field": "name", "type": "nominal", "title": None, "sort": list(names), "axis": {"grid": True}}
    x = {"field": "error", "type": "quantitative", "title": title,
         "scale": {"domain": pad_range(min(ends), max(ends)), "nice": False, "zero": False},
         "axis": {"grid": False, "tickCount": 5 if frame.narrow else 9}}  # fmt: skip
    series = {"field": "of", "type": "nominal", "title": None, "sort": models}
    color = {**series, "scale": {"domain": models, "range": [palette.series[6], palette.series[1]]}}
    return {
        "width": frame.width - 130,
        "height": 24 * len(names),
        "layer": [
            {"data": {"values": lines},
             "mark": {"type": "rule", "strokeWidth": 2, "color": palette.series[1], "opacity": 0.6, "aria": False},
             "encoding": {"y": y, "x": x, "x2": {"field": "to"}}},
            *(
                {"data": {"values": [value for value in values if value["of"] == model]},
                 "mark": {"type": "point", "filled": True, "opacity": 1, "size": size},
                 "encoding": {"y": y, "x": x, "color": color, "description": {"field": "description"}}}
                # The source's mark is larger, so that it stays visible behind the artifact's.
                for model, size in zip(models, (150, 50), strict=True)
            ),
        ],
    }  # fmt: skip


def _change(before: Metrics | None, after: Metrics | None, name: str) -> str:
    values = [getattr(metrics, name, None) for metrics in (before, after)]
    return " → ".join("–" if value is None else f"{value:.4g}" for value in values)
