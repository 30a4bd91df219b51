"""How well an artifact's probabilities tell how often it is right."""

from __future__ import annotations

from edgeml.core.records.evidence_details import Calibration, Evidence
from edgeml.reporting.document import Chart, Column, Frame, Section, Spec, Table

__all__ = ["calibration_section"]


def calibration_section(details: Evidence, name: str) -> Section | None:
    """The reliability diagram of an artifact beside its source's; None where the outputs are no probabilities."""
    if details.calibration is None:
        return None
    both = {name: details.calibration}
    if details.source_calibration is not None:
        both = {"source": details.source_calibration, **both}
    errors = ", ".join(f"{one.ece:.4f} of {who}" for who, one in both.items())
    summary = f"Share of right labels by the probability that was given. Expected calibration error: {errors}."
    rows = tuple(
        (who, f"{one.confidence:.1%}", f"{one.accuracy:.1%}", f"{one.samples:,}")
        for who, calibration in both.items()
        for one in calibration.bins
        if one.confidence is not None and one.accuracy is not None
    )
    if not rows:
        return None
    columns = (Column("of", figures=False), Column("mean probability"), Column("right"), Column("samples"))
    chart = Chart(
        "calibration",
        f"Expected calibration error {errors}",
        summary,
        lambda frame: _spec(both, frame),
        Table("Samples by their largest probability", columns, rows),
        "On the dotted line probabilities are true. The area of a mark is the number of samples.",
    )
    return Section("calibration", "Are the probabilities true?", (chart,))


def _spec(both: dict[str, Calibration], frame: Frame) -> Spec:
    palette = frame.palette
    values = [
        {
            "given": 100 * one.confidence, "right": 100 * one.accuracy, "samples": one.samples, "of": who,
            "told": f"{who}: of {one.samples:,} samples with a mean probability of {one.confidence:.1%}, "
            f"{one.accuracy:.1%} are right",
        }
        for who, calibration in reversed(both.items())  # the source's last, dashed: it hides no other
        for one in calibration.bins
        if one.confidence is not None and one.accuracy is not None
    ]  # fmt: skip
    axis = {"scale": {"domain": [0, 100], "nice": False}, "axis": {"tickCount": 5}, "type": "quantitative"}
    x = {"field": "given", "title": "Probability given, %", **axis}
    y = {"field": "right", "title": "Right, %", **axis}
    colour = {"field": "of", "type": "nominal", "title": None, "sort": list(both)}
    side = min(360, frame.width - 64)
    return {
        "width": side,
        "height": side,
        "layer": [
            {"data": {"values": [{"given": 0, "right": 0}, {"given": 100, "right": 100}]},
             "mark": {"type": "line", "color": palette.muted, "strokeDash": [2, 3], "strokeWidth": 1, "aria": False},
             "encoding": {"x": x, "y": y}},
            {"data": {"values": values}, "mark": {"type": "line", "strokeWidth": 2, "aria": False},
             "encoding": {"x": x, "y": y, "color": colour,
                          "strokeDash": {**colour, "legend": None,
                                         "scale": {"domain": list(both), "range": [[4, 4], [1, 0]][-len(both):]}}}},
            {"data": {"values": values}, "mark": {"type": "point", "filled": True, "opacity": 0.85},
             "encoding": {"x": x, "y": y, "color": colour, "description": {"field": "told"},
                          "size": {"field": "samples", "type": "quantitative", "legend": None,
                                   "scale": {"range": [20, 400], "zero": True}}}},
        ],
    }  # fmt: skip
