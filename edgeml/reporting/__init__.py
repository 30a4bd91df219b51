"""Reports of a package and its benchmark results: an HTML page, Markdown for pull requests, or a PNG image.

Importing this module loads neither vl-convert nor Jinja.

Example:
    >>> from pathlib import Path
    >>> Path("report.html").write_bytes(make_report(edgeml.open_package("net.edgeml"), [Path("results.json")]))
"""

from __future__ import annotations

from edgeml.reporting.compose import FORMATS, Format, make_report

__all__ = ["FORMATS", "Format", "make_report"]
