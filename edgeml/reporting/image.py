"""A report as a PNG image for a slide: verdict, loss against cost, and sizes."""

from __future__ import annotations

import textwrap

from edgeml.package.manifest import Manifest
from edgeml.reporting.charts import chart_config, render_png
from edgeml.reporting.document import LIGHT, Document, Frame, Spec
from edgeml.reporting.formatting import format_kb
from edgeml.reporting.sections.tradeoff import tradeoff_chart
from edgeml.reporting.speeds import Speed

__all__ = ["draw_slide"]

_SCALE = 2.0  # pixels of the image per pixel of the chart, for a width of at least 1920
_LINE = 120  # characters
_KEY = "Dashed: the Pareto front. Areas: sizes. Hollow: rejected."


def draw_slide(document: Document, manifest: Manifest, speeds: dict[str, dict[str, Speed]]) -> bytes:
    """Draw a report as a PNG file of about 16 by 9.

    Raises:
        MissingDependencyError: The extra ``report`` is not installed.
    """
    machine, machine_speeds = next(iter(speeds.items()), ("", {}))
    chart = tradeoff_chart(manifest, machine_speeds, machine, 0)
    parts: list[Spec] = []
    if chart is not None:
        parts = [
            {
                **chart.draw(Frame(640, narrow=False, palette=LIGHT)),
                "title": {
                    "text": chart.title,
                    "fontSize": 14,
                    "subtitle": _KEY,
                    "subtitleFontSize": 12,
                    "subtitlePadding": 4,
                },
            },
            _sizes(manifest),
        ]
    spec = {
        "config": chart_config(LIGHT),
        "background": LIGHT.paper,
        "padding": 32,
        "title": {
            "text": document.title,
            "subtitle": textwrap.wrap(document.verdict, _LINE),
            "fontSize": 26,
            "fontWeight": 600,
            "subtitleFontSize": 14,
            "subtitleLineHeight": 20,
            "subtitlePadding": 8,
            "offset": 24,
        },
        "hconcat": parts or [{"mark": "point", "data": {"values": []}}],
        "spacing": 40,
    }
    return render_png(spec, _SCALE)


def _sizes(manifest: Manifest) -> Spec:
    values = [
        {
            "artifact": record.recipe,
            "kB": manifest.files[record.file].size_bytes / 1000,
            "text": format_kb(manifest.files[record.file].size_bytes),
            "solid": 0.85 if record.verdict.released else 0.3,
        }
        for record in manifest.artifacts
    ]
    y = {"field": "artifact", "type": "nominal", "sort": [value["artifact"] for value in values], "title": None,
         "axis": {"grid": False}}  # fmt: skip
    x = {"field": "kB", "type": "quantitative", "axis": None}
    return {
        "title": {"text": "Size, kB", "fontSize": 14},
        "width": 170,
        "height": 360,
        "data": {"values": values},
        "encoding": {"y": y, "x": x},
        "layer": [
            {"mark": {"type": "bar", "color": LIGHT.series[6], "cornerRadiusEnd": 3, "height": {"band": 0.6}},
             "encoding": {"fillOpacity": {"field": "solid", "type": "quantitative", "scale": None, "legend": None}}},
            {"mark": {"type": "text", "align": "left", "dx": 6}, "encoding": {"text": {"field": "text"}}},
        ],
    }  # fmt: skip
