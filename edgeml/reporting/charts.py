"""Rendering of Vega-Lite charts to SVG and PNG with vl-convert, so that the page needs no chart library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from edgeml.core.errors import MissingDependencyError
from edgeml.reporting.document import Chart, Frame, Palette, Spec

__all__ = ["PLAIN", "SHORT", "chart_config", "log_axis", "pad_range", "render_png", "render_svg", "tick_axis"]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_SIZE = 12
# Formats of tick labels: plain digits, or k and M for thousands and millions; never an exponent.
PLAIN, SHORT = "format(datum.value, ',~r')", "format(datum.value, '~s')"
NO_NETWORK: list[str] = []


def render_svg(chart: Chart, frame: Frame) -> str:
    """Render a chart as SVG text.

    Raises:
        MissingDependencyError: The extra ``report`` is not installed.
    """
    spec = {"$schema": _SCHEMA, "config": chart_config(frame.palette), "background": None, **chart.draw(frame)}
    text: str = _library().vegalite_to_svg(spec, allowed_base_urls=NO_NETWORK)
    return text


def render_png(spec: Spec, scale: float) -> bytes:
    """Render a chart as a PNG file."""
    data: bytes = _library().vegalite_to_png({"$schema": _SCHEMA, **spec}, scale=scale, allowed_base_urls=NO_NETWORK)
    return data


def _library() -> Any:
    try:
        import vl_convert
    except ModuleNotFoundError as error:
        raise MissingDependencyError("A report", "report") from error
    return vl_convert


def chart_config(palette: Palette) -> Spec:
    """Return the Vega-Lite configuration that all charts share."""
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
    lows: Iterable[float], highs: Iterable[float], max_ticks: int, *, padding: float = 0.08
) -> tuple[list[float], list[float]]:
    """Return the domain of a logarithmic axis and round tick values inside it.

    Args:
        lows: Values above 0; the smallest starts the axis.
        highs: Values above 0; the largest ends the axis.
        max_ticks: Maximum number of ticks.
        padding: Free space at each end, as a share of the axis length.
    """
    low, high = pad_range(math.log10(min(lows)), math.log10(max(highs)), padding)
    domain = [10**low, 10**high]
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks: list[float] = []
    for steps in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [tick for power in powers for step in steps if domain[0] <= (tick := step * 10.0**power) <= domain[1]]
        if len(ticks) <= max_ticks:
            break
    return domain, ticks[:: -(-len(ticks) // max_ticks) or 1]


def tick_axis(values: Sequence[float], label: str = PLAIN) -> Spec:
    """Return an axis with a labeled tick at every value; by default Vega drops labels of a logarithmic axis."""
    return {"values": list(values), "labelExpr": label, "labelOverlap": False}


def pad_range(low: float, high: float, share: float = 0.08) -> tuple[float, float]:
    """Widen a range by a share of its length at both ends; an empty range is widened too."""
    padding = (high - low) * share or abs(high) * share or 1.0
    return low - padding, high + padding
