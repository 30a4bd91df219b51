"""FunctionTransformer of numpy's functions as ONNX; skl2onnx takes none but the identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import Container, Nodes, Operator, Scope

__all__ = ["function_converters"]


def function_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.preprocessing import FunctionTransformer

    return {FunctionTransformer: _function}


def _function(scope: Scope, operator: Operator, container: Container) -> None:
    """Computes in float64."""
    nodes = Nodes(scope, container)
    function = operator.raw_operator.func
    tensors = [variable.full_name for variable in operator.inputs]
    rows = nodes("Concat", *tensors, axis=1) if len(tensors) > 1 else tensors[0]
    if function is None:
        nodes("Identity", rows, output=operator.outputs[0].full_name)
        return
    name = getattr(function, "__name__", "")
    if name not in _FUNCTIONS or getattr(np, name) is not function:
        raise UnsupportedModelError(
            f"There is no route for a FunctionTransformer of {name or function!r}.",
            fix=f"take one of numpy's {', '.join(sorted(_FUNCTIONS))}, or do that before the package.",
        )
    nodes.give(_FUNCTIONS[name](nodes, nodes.double(rows)), operator.outputs[0])


def _one_more(nodes: Nodes, rows: str) -> str:
    return nodes("Log", nodes("Add", rows, nodes.number(1.0)))


def _one_less(nodes: Nodes, rows: str) -> str:
    return nodes("Sub", nodes("Exp", rows), nodes.number(1.0))


def _square(nodes: Nodes, rows: str) -> str:
    return nodes("Mul", rows, rows)


def _logarithm(base: float) -> Callable[[Nodes, str], str]:
    return lambda nodes, rows: nodes("Div", nodes("Log", rows), nodes.number(np.log(base)))


def _operator(kind: str) -> Callable[[Nodes, str], str]:
    return lambda nodes, rows: nodes(kind, rows)


_FUNCTIONS: Mapping[str, Callable[[Nodes, str], str]] = MappingProxyType(
    {
        "absolute": _operator("Abs"),
        "exp": _operator("Exp"),
        "expm1": _one_less,
        "log": _operator("Log"),
        "log10": _logarithm(10.0),
        "log1p": _one_more,
        "log2": _logarithm(2.0),
        "negative": _operator("Neg"),
        "sqrt": _operator("Sqrt"),
        "square": _square,
    }
)
