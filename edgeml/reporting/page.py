"""A report as one page that needs nothing beside itself.

Every name is untrusted: the template escapes all that it is given, charts come as SVG whose text vl-convert escapes,
and the page's security policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from edgeml.core.errors import MissingDependencyError
from edgeml.reporting.charts import drawn
from edgeml.reporting.document import Chart, Document, Fact, Frame, Lineage, Table

__all__ = ["page"]

_TEMPLATE = "template"
# The style sheet shows one or the other; a phone of 360 pixels has margins of 16.
_WIDE, _NARROW = Frame(920, narrow=False), Frame(328, narrow=True)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A chart as SVG text for both frames."""

    wide: str
    narrow: str


def page(document: Document) -> str:
    """The page's text.

    Raises:
        MissingDependencyError: The extra is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise MissingDependencyError("A report", "report") from error
    style, script = _part("page.css"), _part("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.tests |= {"a_table": _is(Table), "a_chart": _is(Chart), "a_lineage": _is(Lineage), "facts": _is_facts}
    drawings = {
        part.key: _Drawing(Markup(drawn(part, _WIDE)), Markup(drawn(part, _NARROW)))  # noqa: S704  # vl-convert's own
        for section in document.sections
        for part in section.parts
        if isinstance(part, Chart)
    }
    return environment.from_string(_part("page.html")).render(
        document=document,
        drawings=drawings,
        style=Markup(style),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; "
        "form-action 'none'",
    )


def _part(name: str) -> str:
    return (files("edgeml.reporting") / _TEMPLATE / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _is(kind: type) -> Any:
    return lambda value: isinstance(value, kind)


def _is_facts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, Fact) for item in value)
