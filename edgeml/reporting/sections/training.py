"""Training curves of the model."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table
from edgeml.trainers.result import Epoch, TrainingCurves

__all__ = ["training_section"]

_MAX_POINTS = 300


def training_section(curves: TrainingCurves) -> Section:
    """Return loss and metric over the epochs, of training and validation samples."""
    history = curves.history
    step = -(-len(history) // _MAX_POINTS)
    kept = [epoch for i, epoch in enumerate(history) if i % step == 0 or epoch.number == curves.best_epoch]
    name, title = ("accuracy", "Accuracy, %") if history[0].accuracy is not None else ("mae", "Mean absolute error")
    charts = [_chart(kept, curves.best_epoch, "loss", "Loss", len(history))]
    if getattr(history[0], name) is not None:
        charts.append(_chart(kept, curves.best_epoch, name, title, len(history)))
    return Section("training", "Training", tuple(charts))


def _chart(kept: Sequence[Epoch], best: int, name: str, title: str, count: int) -> Chart:
    factor = 100.0 if name == "accuracy" else 1.0
    values: list[dict[str, object]] = []
    rows = []
    for epoch in kept:
        pair = [getattr(epoch, name), getattr(epoch, f"validation_{name}")]
        figures = [None if value is None else factor * value for value in pair]
        texts = ["–" if value is None else f"{value:.4g}" for value in figures]
        rows.append((f"{epoch.number}", *texts))
        values += [
            {"epoch": epoch.number, "value": value, "samples": samples,
             "description": f"Epoch {epoch.number}, {samples}: {title} {value:.4g}"}
            for samples, value in zip(("training", "validation"), figures, strict=True)
            if value is not None
        ]  # fmt: skip
    marked = next((row for epoch, row in zip(kept, rows, strict=True) if epoch.number == best), rows[-1])
    summary = f"{title} over {count} epochs. The weights of epoch {best} were kept: validation {marked[2]}."
    columns = (Column("epoch"), Column("training"), Column("validation"))
    states = tuple("best" if epoch.number == best else "" for epoch in kept)
    return Chart(
        f"training-{name}",
        title,
        summary,
        lambda frame: _spec(values, best, title, frame),
        Table(f"{title} by epoch", columns, tuple(rows), states),
        f"The dotted line is epoch {best}, whose weights were kept.",
    )


def _spec(values: list[dict[str, object]], best: int, title: str, frame: Frame) -> Spec:
    palette = frame.palette
    x = {"field": "epoch", "type": "quantitative", "title": "Epoch", "axis": {"grid": False, "tickMinStep": 1},
         "scale": {"nice": False, "zero": False}}  # fmt: skip
    y = {"field": "value", "type": "quantitative", "title": title, "scale": {"zero": False}, "axis": {"tickCount": 5}}
    color = {"field": "samples", "type": "nominal", "title": None, "sort": ["training", "validation"]}
    return {
        "width": frame.width - 64,
        "height": 200 if frame.narrow else 220,
        "layer": [
            {"data": {"values": [{"epoch": best}]},
             "mark": {"type": "rule", "color": palette.muted, "strokeDash": [2, 3], "aria": False},
             "encoding": {"x": x}},
            {"data": {"values": values}, "mark": {"type": "line", "strokeWidth": 2, "aria": False},
             "encoding": {"x": x, "y": y, "color": color}},
            {"data": {"values": values}, "mark": {"type": "point", "filled": True, "size": 28, "opacity": 1},
             "encoding": {"x": x, "y": y, "color": color, "description": {"field": "description"}}},
        ],
    }  # fmt: skip
