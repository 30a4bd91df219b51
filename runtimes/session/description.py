"""Text and HTML forms of a session."""

from __future__ import annotations

from collections.abc import Iterator

from edgeml.core.html import html_table
from edgeml.core.session import Session
from edgeml.core.system.text import printable
from edgeml.core.tensors import TensorSpec

__all__ = ["session_html", "session_text"]

_MAX_TENSORS = 4


def session_text(session: Session) -> str:
    """Return a line: target, engine, inputs, outputs, number of labels."""
    inputs, outputs = (", ".join(_shorten(specs)) for specs in (session.signature.inputs, session.signature.outputs))
    engine = f"{session.engine} {session.engine_version}"
    return f"<Session on {session.target}, {engine}: {inputs} -> {outputs}{_labels(session)}>"


def session_html(session: Session) -> str:
    """Return a table of the inputs and outputs."""
    sides = (("input", session.signature.inputs), ("output", session.signature.outputs))
    rows = [[kind, spec.name, spec.dtype, _shape(spec), spec.meaning] for kind, specs in sides for spec in specs]
    caption = f"Session on {session.target}, {session.engine} {session.engine_version}"
    caption += _labels(session)
    if session.reason:
        caption += f". {session.reason}"
    return html_table(caption, ["", "name", "dtype", "shape", "meaning"], rows)


def _labels(session: Session) -> str:
    if session.labels is None:
        return ""
    if isinstance(session.labels, dict):
        return "".join(f", {len(labels)} labels of {printable(name)}" for name, labels in session.labels.items())
    return f", {len(session.labels)} labels"


def _shorten(specs: tuple[TensorSpec, ...]) -> Iterator[str]:
    for spec in specs[:_MAX_TENSORS]:
        yield printable(f"{spec.name} {spec.dtype} {_shape(spec)}")
    if len(specs) > _MAX_TENSORS:
        yield f"{len(specs) - _MAX_TENSORS} more"


def _shape(spec: TensorSpec) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in spec.named_shape)}]"
