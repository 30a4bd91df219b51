"""A selection of columns as ONNX."""

from __future__ import annotations

from typing import Any

from ..prepare.used_columns import Selection
from ._builder import Container, Nodes, Operator, Scope

__all__ = ["selection_converters"]


def selection_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    return {Selection: _selection}


def _selection(scope: Scope, operator: Operator, container: Container) -> None:
    nodes = Nodes(scope, container)
    columns = nodes.columns(operator.inputs[0].full_name, operator.raw_operator.places)
    nodes("Identity", columns, output=operator.outputs[0].full_name)
