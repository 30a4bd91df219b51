"""QuantileTransformer as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import Container, Nodes, Operator, Scope

__all__ = ["quantile_converters"]

_INT64 = 7  # of onnx.TensorProto
_BOUND = 1e-7  # how near to 0 and 1 scikit-learn lets a probability come before it becomes normal

# Acklam's rational approximation of the normal quantile function, relative error 1.15e-9.
# Numerators and denominators, of the centre and of the tails, from the highest power down.
_CENTRE = (
    "-39.69683028665376 220.9460984245205 -275.9285104469687 138.3577518672690 -30.66479806614716 2.506628277459239",
    "-54.47609879822406 161.5858368580409 -155.6989798598866 66.80131188771972 -13.28068155288572 1",
)
_TAIL = (
    "-7.784894002430293e-3 -.3223964580411365 -2.400758277161838 -2.549732539343734 4.374664141464968 2.93816398269878",
    "7.784695709041462e-3 0.3224671290700398 2.445134137142996 3.754408661907416 1",
)
_TAIL_BELOW = 0.02425


def quantile_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.preprocessing import QuantileTransformer

    return {QuantileTransformer: _quantiles}


def _quantiles(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.common.data_types import DoubleTensorType

    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = nodes.double(operator.inputs[0].full_name)
    columns = [
        _uniform(nodes, nodes.columns(rows, [place]), quantiles, model)
        for place, quantiles in enumerate(np.asarray(model.quantiles_, dtype=np.float64).T)
    ]
    made = nodes("Concat", *columns, axis=1)
    if model.output_distribution == "normal":
        if not isinstance(operator.inputs[0].type, DoubleTensorType):
            made = nodes.double(nodes.single(made))  # scikit-learn, too, rounds float32 rows in between
        made = _normal(nodes, made)
    nodes.give(made, operator.outputs[0])


def _uniform(nodes: Nodes, column: str, quantiles: np.ndarray, model: Any) -> str:
    """The mean of the interpolations from below and from above, which differ where quantiles repeat."""
    references = np.asarray(model.references_, dtype=np.float64)
    inside = nodes("Min", nodes("Max", column, nodes.number(quantiles[0])), nodes.number(quantiles[-1]))
    steps = np.diff(quantiles)
    slopes = np.divide(np.diff(references), steps, out=np.zeros_like(steps), where=steps > 0)
    reached = nodes("Cast", nodes("GreaterOrEqual", inside, nodes.number(quantiles[None, 1:])), to=_INT64)
    passed = nodes("Cast", nodes("Greater", inside, nodes.number(quantiles[None, :-1])), to=_INT64)
    sides = []
    for place, widths in ((nodes.total(reached, 1), np.append(slopes, 0.0)), (nodes.total(passed, 1), None)):
        # From below the slope is that of the interval after the place, from above that of the one before.
        slope = np.insert(slopes, 0, 0.0) if widths is None else widths
        offset = nodes("Sub", inside, nodes("Gather", nodes.number(quantiles), place))
        rise = nodes("Mul", offset, nodes("Gather", nodes.number(slope), place))
        sides.append(nodes("Add", nodes("Gather", nodes.number(references), place), rise))
    mean = nodes("Mul", nodes("Add", *sides), nodes.number(0.5))
    kinds, ends = ("GreaterOrEqual", "LessOrEqual"), (column, column)
    if model.output_distribution == "normal":
        kinds, ends = ("Greater", "Less"), (_moved(nodes, column, _BOUND), _moved(nodes, column, -_BOUND))
    above = nodes(kinds[0], ends[0], nodes.number(quantiles[-1]))
    below = nodes(kinds[1], ends[1], nodes.number(quantiles[0]))
    return nodes("Where", below, nodes.number(0.0), nodes("Where", above, nodes.number(1.0), mean))


def _moved(nodes: Nodes, column: str, step: float) -> str:
    """Moved in float32, as scikit-learn does with rows of float32: from 2 on the step is lost."""
    return nodes.double(nodes("Add", nodes.single(column), nodes.single(nodes.number(step))))


def _normal(nodes: Nodes, shares: str) -> str:
    near = _BOUND - np.spacing(1)
    shares = nodes("Min", nodes("Max", shares, nodes.number(near)), nodes.number(1 - near))
    one, half = nodes.number(1.0), nodes.number(0.5)
    offset = nodes("Sub", shares, half)
    square = nodes("Mul", offset, offset)
    centre = nodes("Mul", offset, _ratio(nodes, square, _CENTRE))
    smaller = nodes("Min", shares, nodes("Sub", one, shares))
    depth = nodes("Sqrt", nodes("Mul", nodes("Log", smaller), nodes.number(-2.0)))
    tail = nodes("Mul", _ratio(nodes, depth, _TAIL), nodes("Neg", nodes("Sign", offset)))
    far = nodes("Less", smaller, nodes.number(_TAIL_BELOW))
    return nodes("Where", far, tail, centre)


def _ratio(nodes: Nodes, value: str, polynomials: tuple[str, str]) -> str:
    made = []
    for text in polynomials:
        first, *rest = [nodes.number(float(coefficient)) for coefficient in text.split()]
        total = first
        for coefficient in rest:
            total = nodes("Add", nodes("Mul", total, value), coefficient)
        made.append(total)
    return nodes("Div", *made)
