"""FunctionTransformer of NumPy functions as ONNX; skl2onnx supports the identity only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import Container, GraphBuilder, Operator, Scope

__all__ = ["function_converters"]


def function_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.preprocessing import FunctionTransformer

    return {FunctionTransformer: _function}


def _function(scope: Scope, operator: Operator, container: Container) -> None:
    """Convert a NumPy function, computed in float64."""
    graph = GraphBuilder(scope, container)
    function = operator.raw_operator.func
    tensors = [variable.full_name for variable in operator.inputs]
    rows = graph("Concat", *tensors, axis=1) if len(tensors) > 1 else tensors[0]
    if function is None:
        graph("Identity", rows, output=operator.outputs[0].full_name)
        return
    name = getattr(function, "__name__", "")
    if name not in _FUNCTIONS or getattr(np, name) is not function:
        raise UnsupportedModelError(
            f"FunctionTransformer: the function {name or function!r} is not supported in ONNX.",
            fix=f"use one of NumPy's {', '.join(sorted(_FUNCTIONS))}, or apply the function outside of the model.",
        )
    graph.write_output(_FUNCTIONS[name](graph, graph.double(rows)), operator.outputs[0])


def _log1p(graph: GraphBuilder, rows: str) -> str:
    return graph("Log", graph("Add", rows, graph.number(1.0)))


def _expm1(graph: GraphBuilder, rows: str) -> str:
    return graph("Sub", graph("Exp", rows), graph.number(1.0))


def _square(graph: GraphBuilder, rows: str) -> str:
    return graph("Mul", rows, rows)


def _logarithm(base: float) -> Callable[[GraphBuilder, str], str]:
    return lambda graph, rows: graph("Div", graph("Log", rows), graph.number(np.log(base)))


def _operator(kind: str) -> Callable[[GraphBuilder, str], str]:
    return lambda graph, rows: graph(kind, rows)


_FUNCTIONS: Mapping[str, Callable[[GraphBuilder, str], str]] = MappingProxyType(
    {
        "absolute": _operator("Abs"),
        "exp": _operator("Exp"),
        "expm1": _expm1,
        "log": _operator("Log"),
        "log10": _logarithm(10.0),
        "log1p": _log1p,
        "log2": _logarithm(2.0),
        "negative": _operator("Neg"),
        "sqrt": _operator("Sqrt"),
        "square": _square,
    }
)
