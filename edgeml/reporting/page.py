"""A report as a single HTML page without external resources.

Every name is untrusted: the template escapes all values, vl-convert escapes the text of the SVG charts, and the page's
content security policy allows only the page's own script.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from edgeml.core.errors import MissingDependencyError
from edgeml.reporting.charts import render_svg
from edgeml.reporting.document import Chart, Document, Fact, Frame, Lineage, Table

__all__ = ["render_page"]

_TEMPLATE = "template"
# The style sheet shows the frame that fits; a phone of 360 pixels has margins of 16.
_WIDE, _NARROW = Frame(920, narrow=False), Frame(328, narrow=True)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A chart as SVG text.

    Attributes:
        wide: Layout for a desktop.
        narrow: Layout for a phone.
    """

    wide: str
    narrow: str


def render_page(document: Document) -> str:
    """Render the page.

    Raises:
        MissingDependencyError: The extra ``report`` is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise MissingDependencyError("A report", "report") from error
    style, script = _read_template("page.css"), _read_template("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.tests |= {
        "a_table": _is_instance(Table),
        "a_chart": _is_instance(Chart),
        "a_lineage": _is_instance(Lineage),
        "facts": _is_facts,
    }
    drawings = {
        part.key: _Drawing(Markup(render_svg(part, _WIDE)), Markup(render_svg(part, _NARROW)))  # noqa: S704  # written by vl-convert
        for section in document.sections
        for part in section.parts
        if isinstance(part, Chart)
    }
    return environment.from_string(_read_template("page.html")).render(
        document=document,
        drawings=drawings,
        style=Markup(style),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; "
        "form-action 'none'",
    )


def _read_template(name: str) -> str:
    return (files("edgeml.reporting") / _TEMPLATE / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _is_instance(kind: type) -> Any:
    return lambda value: isinstance(value, kind)


def _is_facts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, Fact) for item in value)
