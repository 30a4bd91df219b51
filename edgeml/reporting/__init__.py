"""From a package, and what was measured of it, to a page, a text for pull requests, or a picture.

Importing it loads neither the library that draws nor the one that fills the page.

Example:
    >>> from pathlib import Path
    >>> Path("report.html").write_bytes(make_report(edgeml.open_package("net.edgeml"), [Path("results.json")]))
"""

from __future__ import annotations

from edgeml.reporting.compose import FORMATS, Format, make_report

__all__ = ["FORMATS", "Format", "make_report"]
