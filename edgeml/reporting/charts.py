"""Charts by Vega-Lite, drawn here and not in the reader's browser: vl-convert holds the library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from edgeml.core.errors import MissingDependencyError
from edgeml.reporting.document import Chart, Frame, Palette, Spec

__all__ = ["PLAIN", "SHORT", "config", "drawn", "log_axis", "picture", "spaced", "ticked"]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_SIZE = 12
# How ticks are written: as they are, or with k and M for thousands and millions; never with an exponent.
PLAIN, SHORT = "format(datum.value, ',~r')", "format(datum.value, '~s')"
NO_NETWORK: list[str] = []


def drawn(chart: Chart, frame: Frame) -> str:
    """A chart as SVG text.

    Raises:
        MissingDependencyError: The extra is not installed.
    """
    spec = {"$schema": _SCHEMA, "config": config(frame.palette), "background": None, **chart.draw(frame)}
    text: str = _library().vegalite_to_svg(spec, allowed_base_urls=NO_NETWORK)
    return text


def picture(spec: Spec, scale: float) -> bytes:
    """A chart as a PNG file."""
    data: bytes = _library().vegalite_to_png({"$schema": _SCHEMA, **spec}, scale=scale, allowed_base_urls=NO_NETWORK)
    return data


def _library() -> Any:
    try:
        import vl_convert
    except ModuleNotFoundError as error:
        raise MissingDependencyError("A report", "report") from error
    return vl_convert


def config(palette: Palette) -> Spec:
    """The look that all charts share."""
    text = {"labelColor": palette.muted, "titleColor": palette.ink, "labelFontSize": _SIZE, "titleFontSize": _SIZE}
    return {
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **text,
            "titleFontWeight": 500,
            "gridColor": palette.line,
            "domainColor": palette.line,
            "tickColor": palette.line,
            "labelPadding": 6,
            "titlePadding": 10,
            "labelLimit": 150,
        },
        "axisY": {"domain": False, "ticks": False},
        "legend": {
            **text,
            "titleFontWeight": 500,
            "orient": "top",
            "direction": "horizontal",
            "symbolStrokeWidth": 2,
            "symbolOpacity": 1,
            "columnPadding": 14,
            "offset": 10,
            "labelLimit": 180,
        },
        "header": {
            **text,
            "labelColor": palette.ink,
            "labelFontWeight": 600,
            "labelAnchor": "start",
            "labelPadding": 4,
        },
        "title": {"color": palette.ink, "subtitleColor": palette.muted, "anchor": "start"},
        "text": {"color": palette.ink, "fontSize": _SIZE},
        "range": {"category": list(palette.series)},
    }


def log_axis(
    lows: Iterable[float], highs: Iterable[float], most: int, *, room: float = 0.08
) -> tuple[list[float], list[float]]:
    """A domain for a logarithmic axis with some room at its ends, and round ticks.

    Args:
        lows: Values above 0 that must be in it.
        highs: Likewise.
        most: How many ticks there may be.
        room: At each end, by the whole length.
    """
    low, high = spaced(math.log10(min(lows)), math.log10(max(highs)), room)
    domain = [10**low, 10**high]
    powers = range(math.floor(low), math.ceil(high) + 1)
    inside: list[float] = []
    for steps in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        inside = [t for power in powers for step in steps if domain[0] <= (t := step * 10.0**power) <= domain[1]]
        if len(inside) <= most:
            break
    return domain, inside[:: -(-len(inside) // most) or 1]


def ticked(values: Sequence[float], label: str = PLAIN) -> Spec:
    """An axis with ticks at these values, and all of them labelled: left to Vega a logarithmic axis drops some."""
    return {"values": list(values), "labelExpr": label, "labelOverlap": False}


def spaced(low: float, high: float, share: float = 0.08) -> tuple[float, float]:
    """A range with some room at its ends; never empty."""
    room = (high - low) * share or abs(high) * share or 1.0
    return low - room, high + room
