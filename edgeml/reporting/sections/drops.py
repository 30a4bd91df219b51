"""Drops in the main metric against the goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeml.core.records.evidence import PERCENT_METRICS, Drop, Metrics
from edgeml.package.explain import Explanation
from edgeml.reporting.charts import pad_range
from edgeml.reporting.document import Chart, Column, Frame, Spec, Table
from edgeml.reporting.formatting import drop_axis_title, drop_title, format_drop, format_metric

__all__ = ["drops_chart"]

# Outcome: index of its color in the palette's series, and shape.
_OUTCOMES = {"held": (2, "circle"), "open": (4, "diamond"), "missed": (5, "square")}


@dataclass(frozen=True, slots=True)
class _Loss:
    """A drop and its goal.

    Attributes:
        explanation: Evidence of the artifact.
        drop: Drop in the main metric.
        bound: Largest drop that the goal allows.
        factor: Factor from the metric to the unit of the chart: 100 for a share in percent.
    """

    explanation: Explanation
    drop: Drop
    bound: float
    factor: float

    @property
    def outcome(self) -> str:
        if self.drop.low <= self.bound < self.drop.high:
            return "open"
        return "held" if self.drop.value <= self.bound else "missed"

    @property
    def outcome_text(self) -> str:
        """Outcome in words; of an open outcome, the sample size that would settle it."""
        if self.outcome != "open":
            return self.outcome
        now = "held so far" if self.drop.value <= self.bound else "missed so far"
        sample_size = self.explanation.verdict.samples_to_settle
        return now if sample_size is None else f"{now}: some {float(f'{sample_size:.2g}'):,.0f} samples would settle it"


def drops_chart(explanations: Sequence[Explanation]) -> Chart | None:
    """Return the drop of each artifact with its interval, and the goal; None if no goal applied."""
    losses = [
        _Loss(
            item, item.evaluation.drop, item.max_drop, 100.0 if item.evaluation.drop.metric in PERCENT_METRICS else 1.0
        )
        for item in explanations
        if item.evaluation.drop is not None and item.max_drop is not None
    ]
    if not losses:
        return None
    metrics = {loss.drop.metric for loss in losses}
    if len(metrics) > 1:  # of several outputs, whose worst ones differ in metric: all as percentages
        losses = [replace(loss, factor=100.0) for loss in losses]
    metric = losses[0].drop.metric if len(metrics) == 1 or metrics <= PERCENT_METRICS else "accuracy"
    bound = losses[0].factor * losses[0].bound
    goal = f"{bound:g}%" if metric in PERCENT_METRICS else f"{bound:g}"
    counts = [f"{count} {name}" for name in _OUTCOMES if (count := sum(loss.outcome == name for loss in losses))]
    columns = (
        Column("artifact", figures=False), Column("source"), Column("artifact's"), Column("drop [95%]"),
        Column("goal", figures=False),
    )  # fmt: skip
    rows = tuple(
        (
            loss.explanation.recipe,
            *(
                _value(each, loss.drop.metric)
                for each in (loss.explanation.evaluation.source_metrics, loss.explanation.evaluation.metrics)
            ),
            format_drop(loss.drop),
            loss.outcome_text,
        )
        for loss in losses
    )
    title = drop_title(metric) if len(metrics) == 1 else "drop in the worst output's metric"
    title = f"{title[0].upper()}{title[1:]}"
    return Chart(
        "drops",
        f"{title}, and the goal of at most {goal}",
        f"{title} with its 95% interval of {len(losses)} artifacts against the goal of {goal}: {', '.join(counts)}.",
        lambda frame: _spec(losses, bound, frame),
        Table(f"{title}; the goal is at most {goal}", columns, rows),
        "A bar is the 95% interval, the dashed line the goal. Where the interval contains the goal the verdict is "
        "open: the measured drop decides, and more samples may change it.",
    )


def _value(metrics: Metrics | None, metric: str) -> str:
    value = getattr(metrics, metric, None)
    return "–" if value is None else format_metric(metric, value)


def _spec(losses: Sequence[_Loss], bound: float, frame: Frame) -> Spec:
    palette = frame.palette
    values = [
        {
            "artifact": loss.explanation.recipe, "outcome": loss.outcome, "low": loss.factor * loss.drop.low,
            "drop": loss.factor * loss.drop.value, "high": loss.factor * loss.drop.high,
            "description": f"{loss.explanation.recipe}: a drop of {format_drop(loss.drop)}, {loss.outcome_text}",
        }
        for loss in losses
    ]  # fmt: skip
    ends = [loss.factor * end for loss in losses for end in (loss.drop.low, loss.drop.high)]
    present = [name for name in _OUTCOMES if any(loss.outcome == name for loss in losses)]
    y = {"field": "artifact", "type": "nominal", "title": None, "sort": [loss.explanation.recipe for loss in losses]}
    x = {"field": "drop", "type": "quantitative", "title": drop_axis_title(losses[0].drop.metric),
         "scale": {"domain": pad_range(min(0.0, bound, *ends), max(0.0, bound, *ends), 0.04), "nice": False},
         "axis": {"grid": False, "tickCount": 5 if frame.narrow else 9}}  # fmt: skip
    outcome = {"field": "outcome", "type": "nominal", "title": None, "sort": present}
    colors = [palette.series[_OUTCOMES[name][0]] for name in present]
    color = {**outcome, "scale": {"domain": present, "range": colors}}
    shape = {**outcome, "scale": {"domain": present, "range": [_OUTCOMES[name][1] for name in present]}}
    return {
        "width": frame.width - 130,
        "height": 26 * len(losses),
        "layer": [
            *(
                {"data": {"values": [{"drop": at}]}, "encoding": {"x": x},
                 "mark": {"type": "rule", "color": palette.muted, "strokeDash": dash, "aria": False}}
                for at, dash in ((0.0, [1, 0]), (bound, [5, 4]))
            ),
            {"data": {"values": values}, "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.6, "aria": False},
             "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": color}},
            {"data": {"values": values}, "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
             "encoding": {"y": y, "x": x, "color": color, "shape": shape, "description": {"field": "description"}}},
        ],
    }  # fmt: skip
