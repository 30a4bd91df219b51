"""Calibration: whether predicted probabilities match how often predictions are right."""

from __future__ import annotations

from edgeml.core.records.evidence_details import Calibration, Evidence
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table

__all__ = ["calibration_section"]


def calibration_section(details: Evidence, name: str) -> Section | None:
    """Return the reliability diagram of an artifact and its source; None if the outputs are not probabilities."""
    if details.calibration is None:
        return None
    calibrations = {name: details.calibration}
    if details.source_calibration is not None:
        calibrations = {"source": details.source_calibration, **calibrations}
    errors = ", ".join(f"{calibration.ece:.4f} of {model}" for model, calibration in calibrations.items())
    summary = f"Share of right labels by predicted probability. Expected calibration error: {errors}."
    rows = tuple(
        (model, f"{bin_.confidence:.1%}", f"{bin_.accuracy:.1%}", f"{bin_.samples:,}")
        for model, calibration in calibrations.items()
        for bin_ in calibration.bins
        if bin_.confidence is not None and bin_.accuracy is not None
    )
    if not rows:
        return None
    columns = (Column("of", figures=False), Column("mean probability"), Column("right"), Column("samples"))
    chart = Chart(
        "calibration",
        f"Expected calibration error {errors}",
        summary,
        lambda frame: _spec(calibrations, frame),
        Table("Samples by their largest probability", columns, rows),
        "On the dotted line probabilities are true. The area of a mark is the number of samples.",
    )
    return Section("calibration", "Are the probabilities true?", (chart,))


def _spec(calibrations: dict[str, Calibration], frame: Frame) -> Spec:
    palette = frame.palette
    values = [
        {
            "probability": 100 * bin_.confidence, "right": 100 * bin_.accuracy, "samples": bin_.samples, "of": model,
            "description": f"{model}: of {bin_.samples:,} samples with a mean probability of {bin_.confidence:.1%}, "
            f"{bin_.accuracy:.1%} are right",
        }
        for model, calibration in reversed(calibrations.items())  # the source's line on top: it is dashed
        for bin_ in calibration.bins
        if bin_.confidence is not None and bin_.accuracy is not None
    ]  # fmt: skip
    axis = {"scale": {"domain": [0, 100], "nice": False}, "axis": {"tickCount": 5}, "type": "quantitative"}
    x = {"field": "probability", "title": "Predicted probability, %", **axis}
    y = {"field": "right", "title": "Right, %", **axis}
    color = {"field": "of", "type": "nominal", "title": None, "sort": list(calibrations)}
    side = min(360, frame.width - 64)
    return {
        "width": side,
        "height": side,
        "layer": [
            {"data": {"values": [{"probability": 0, "right": 0}, {"probability": 100, "right": 100}]},
             "mark": {"type": "line", "color": palette.muted, "strokeDash": [2, 3], "strokeWidth": 1, "aria": False},
             "encoding": {"x": x, "y": y}},
            {"data": {"values": values}, "mark": {"type": "line", "strokeWidth": 2, "aria": False},
             "encoding": {"x": x, "y": y, "color": color,
                          "strokeDash": {**color, "legend": None,
                                         "scale": {"domain": list(calibrations),
                                                   "range": [[4, 4], [1, 0]][-len(calibrations):]}}}},
            {"data": {"values": values}, "mark": {"type": "point", "filled": True, "opacity": 0.85},
             "encoding": {"x": x, "y": y, "color": color, "description": {"field": "description"},
                          "size": {"field": "samples", "type": "quantitative", "legend": None,
                                   "scale": {"range": [20, 400], "zero": True}}}},
        ],
    }  # fmt: skip
