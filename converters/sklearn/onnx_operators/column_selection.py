"""Column selection as ONNX."""

from __future__ import annotations

from typing import Any

from ..prepare.used_columns import ColumnSelection
from ._builder import Container, GraphBuilder, Operator, Scope

__all__ = ["selection_converters"]


def selection_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    return {ColumnSelection: _selection}


def _selection(scope: Scope, operator: Operator, container: Container) -> None:
    graph = GraphBuilder(scope, container)
    columns = graph.gather_columns(operator.inputs[0].full_name, operator.raw_operator.indices)
    graph("Identity", columns, output=operator.outputs[0].full_name)
