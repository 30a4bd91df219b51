"""What artifacts lose against what they may lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeml.core.records.evidence import Drop, Metrics
from edgeml.package.explain import Explanation
from edgeml.reporting.charts import spaced
from edgeml.reporting.document import Chart, Column, Frame, Spec, Table
from edgeml.reporting.formatting import drop_text, drop_title, metric_text, unit_of_drop

__all__ = ["drops_chart"]

# Of each outcome its colour among the series, and its shape.
_OUTCOMES = {"held": (2, "circle"), "open": (4, "diamond"), "missed": (5, "square")}


@dataclass(frozen=True, slots=True)
class _Loss:
    """A drop beside its goal; `factor` makes points of shares."""

    found: Explanation
    drop: Drop
    bound: float
    factor: float

    @property
    def outcome(self) -> str:
        if self.drop.low <= self.bound < self.drop.high:
            return "open"
        return "held" if self.drop.value <= self.bound else "missed"

    @property
    def told(self) -> str:
        """The outcome in words; of an open one, what would settle it."""
        if self.outcome != "open":
            return self.outcome
        now = "held so far" if self.drop.value <= self.bound else "missed so far"
        settling = self.found.verdict.samples_to_settle
        return now if settling is None else f"{now}: some {float(f'{settling:.2g}'):,.0f} samples would settle it"


def drops_chart(found: Sequence[Explanation]) -> Chart | None:
    """The drop of each artifact with its interval, and the goal; None where none was due."""
    losses = [
        _Loss(one, one.evaluation.drop, one.max_drop, 100.0 if one.evaluation.drop.metric == "accuracy" else 1.0)
        for one in found
        if one.evaluation.drop is not None and one.max_drop is not None
    ]
    if not losses:
        return None
    metric, bound = losses[0].drop.metric, losses[0].factor * losses[0].bound
    goal = f"{bound:g} point{'s' * (bound != 1)}" if metric == "accuracy" else f"{bound:g}"
    counts = [f"{count} {name}" for name in _OUTCOMES if (count := sum(one.outcome == name for one in losses))]
    columns = (
        Column("artifact", figures=False), Column("source"), Column("artifact's"), Column("drop [95%]"),
        Column("goal", figures=False),
    )  # fmt: skip
    rows = tuple(
        (
            one.found.recipe,
            *(
                _value(metrics, metric)
                for metrics in (one.found.evaluation.source_metrics, one.found.evaluation.metrics)
            ),
            drop_text(one.drop),
            one.told,
        )
        for one in losses
    )
    title = drop_title(metric)
    title = f"{title[0].upper()}{title[1:]}"
    return Chart(
        "drops",
        f"{title}, and the goal of at most {goal}",
        f"{title} with its 95% interval of {len(losses)} artifacts against the goal of {goal}: {', '.join(counts)}.",
        lambda frame: _spec(losses, bound, frame),
        Table(f"{title}; the goal is at most {goal}", columns, rows),
        "A bar is the 95% interval, the dashed line the goal. Where the bar holds the goal the verdict is open: the "
        "drop found decides, and more samples may turn it.",
    )


def _value(metrics: Metrics | None, metric: str) -> str:
    value = getattr(metrics, metric, None)
    return "–" if value is None else metric_text(metric, value)


def _spec(losses: Sequence[_Loss], bound: float, frame: Frame) -> Spec:
    palette = frame.palette
    values = [
        {
            "artifact": one.found.recipe, "outcome": one.outcome,
            "low": one.factor * one.drop.low, "drop": one.factor * one.drop.value, "high": one.factor * one.drop.high,
            "told": f"{one.found.recipe}: a drop of {drop_text(one.drop)}, {one.told}",
        }
        for one in losses
    ]  # fmt: skip
    ends = [one.factor * end for one in losses for end in (one.drop.low, one.drop.high)]
    there = [name for name in _OUTCOMES if any(one.outcome == name for one in losses)]
    y = {"field": "artifact", "type": "nominal", "title": None, "sort": [one.found.recipe for one in losses]}
    x = {"field": "drop", "type": "quantitative", "title": unit_of_drop(losses[0].drop.metric),
         "scale": {"domain": spaced(min(0.0, bound, *ends), max(0.0, bound, *ends), 0.04), "nice": False},
         "axis": {"grid": False, "tickCount": 5 if frame.narrow else 9}}  # fmt: skip
    outcome = {"field": "outcome", "type": "nominal", "title": None, "sort": there}
    colours = [palette.series[_OUTCOMES[name][0]] for name in there]
    colour = {**outcome, "scale": {"domain": there, "range": colours}}
    shape = {**outcome, "scale": {"domain": there, "range": [_OUTCOMES[name][1] for name in there]}}
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
             "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour}},
            {"data": {"values": values}, "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
             "encoding": {"y": y, "x": x, "color": colour, "shape": shape, "description": {"field": "told"}}},
        ],
    }  # fmt: skip
