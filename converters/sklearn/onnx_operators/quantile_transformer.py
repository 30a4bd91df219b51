"""QuantileTransformer as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import INT64, Container, GraphBuilder, Operator, Scope

__all__ = ["quantile_converters"]

_BOUND = 1e-7  # scikit-learn clips probabilities to this distance from 0 and 1 for the normal distribution

# Acklam's rational approximation of the normal quantile function, relative error 1.15e-9.
# Numerators and denominators for the center and the tails, from the highest power down.
_CENTER = (
    "-39.69683028665376 220.9460984245205 -275.9285104469687 138.3577518672690 -30.66479806614716 2.506628277459239",
    "-54.47609879822406 161.5858368580409 -155.6989798598866 66.80131188771972 -13.28068155288572 1",
)
_TAIL = (
    "-7.784894002430293e-3 -.3223964580411365 -2.400758277161838 -2.549732539343734 4.374664141464968 2.93816398269878",
    "7.784695709041462e-3 0.3224671290700398 2.445134137142996 3.754408661907416 1",
)
_TAIL_BELOW = 0.02425


def quantile_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.preprocessing import QuantileTransformer

    return {QuantileTransformer: _quantiles}


def _quantiles(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.common.data_types import DoubleTensorType

    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    rows = graph.double(operator.inputs[0].full_name)
    columns = [
        _to_uniform(graph, graph.gather_columns(rows, [index]), quantiles, model)
        for index, quantiles in enumerate(np.asarray(model.quantiles_, dtype=np.float64).T)
    ]
    transformed = graph("Concat", *columns, axis=1)
    if model.output_distribution == "normal":
        if not isinstance(operator.inputs[0].type, DoubleTensorType):
            transformed = graph.double(graph.single(transformed))  # scikit-learn rounds float32 rows in between, too
        transformed = _to_normal(graph, transformed)
    graph.write_output(transformed, operator.outputs[0])


def _to_uniform(graph: GraphBuilder, column: str, quantiles: np.ndarray, model: Any) -> str:
    """Average the interpolations from below and from above, which differ for repeated quantiles."""
    references = np.asarray(model.references_, dtype=np.float64)
    inside = graph("Min", graph("Max", column, graph.number(quantiles[0])), graph.number(quantiles[-1]))
    steps = np.diff(quantiles)
    slopes = np.divide(np.diff(references), steps, out=np.zeros_like(steps), where=steps > 0)
    reached = graph("Cast", graph("GreaterOrEqual", inside, graph.number(quantiles[None, 1:])), to=INT64)
    passed = graph("Cast", graph("Greater", inside, graph.number(quantiles[None, :-1])), to=INT64)
    sides = []
    for index, widths in ((graph.reduce_sum(reached, 1), np.append(slopes, 0.0)), (graph.reduce_sum(passed, 1), None)):
        # From below, the slope is that of the next interval, from above that of the previous one.
        slope = np.insert(slopes, 0, 0.0) if widths is None else widths
        offset = graph("Sub", inside, graph("Gather", graph.number(quantiles), index))
        rise = graph("Mul", offset, graph("Gather", graph.number(slope), index))
        sides.append(graph("Add", graph("Gather", graph.number(references), index), rise))
    mean = graph("Mul", graph("Add", *sides), graph.number(0.5))
    kinds, ends = ("GreaterOrEqual", "LessOrEqual"), (column, column)
    if model.output_distribution == "normal":
        kinds, ends = ("Greater", "Less"), (_shift(graph, column, _BOUND), _shift(graph, column, -_BOUND))
    above = graph(kinds[0], ends[0], graph.number(quantiles[-1]))
    below = graph(kinds[1], ends[1], graph.number(quantiles[0]))
    return graph("Where", below, graph.number(0.0), graph("Where", above, graph.number(1.0), mean))


def _shift(graph: GraphBuilder, column: str, step: float) -> str:
    """Shift a column in float32, like scikit-learn for float32 rows: for values of 2 and more, the step is lost."""
    return graph.double(graph("Add", graph.single(column), graph.single(graph.number(step))))


def _to_normal(graph: GraphBuilder, shares: str) -> str:
    near = _BOUND - np.spacing(1)
    shares = graph("Min", graph("Max", shares, graph.number(near)), graph.number(1 - near))
    unity, half = graph.number(1.0), graph.number(0.5)
    offset = graph("Sub", shares, half)
    square = graph("Mul", offset, offset)
    center = graph("Mul", offset, _evaluate_ratio(graph, square, _CENTER))
    smaller = graph("Min", shares, graph("Sub", unity, shares))
    depth = graph("Sqrt", graph("Mul", graph("Log", smaller), graph.number(-2.0)))
    tail = graph("Mul", _evaluate_ratio(graph, depth, _TAIL), graph("Neg", graph("Sign", offset)))
    far = graph("Less", smaller, graph.number(_TAIL_BELOW))
    return graph("Where", far, tail, center)


def _evaluate_ratio(graph: GraphBuilder, value: str, polynomials: tuple[str, str]) -> str:
    terms = []
    for text in polynomials:
        first, *rest = [graph.number(float(coefficient)) for coefficient in text.split()]
        total = first
        for coefficient in rest:
            total = graph("Add", graph("Mul", total, value), coefficient)
        terms.append(total)
    return graph("Div", *terms)
