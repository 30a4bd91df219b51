"""Isotonic regression and spline features as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, INT64, Container, GraphBuilder, Operator, Scope

__all__ = ["interpolate", "interpolated_converters"]


def interpolated_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.isotonic import IsotonicRegression
    from sklearn.preprocessing import SplineTransformer

    return {IsotonicRegression: _isotonic, SplineTransformer: _splines}


def interpolate(graph: GraphBuilder, column: str, knots: np.ndarray, values: np.ndarray) -> str:
    """Interpolate a float64 column ``[batch, 1]`` linearly between knots, constant outside."""
    knots, values = np.asarray(knots, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(knots) == 1:
        return graph("Add", graph("Mul", column, graph.number(0.0)), graph.number(values))
    inside = graph("Min", graph("Max", column, graph.number(knots[0])), graph.number(knots[-1]))
    above = graph("Cast", graph("GreaterOrEqual", inside, graph.number(knots[None, 1:-1])), to=INT64)
    intervals = graph.reduce_sum(above, 1)
    start, low = (graph("Gather", graph.number(array[:-1]), intervals) for array in (knots, values))
    slope = graph("Gather", graph.number(np.diff(values) / np.diff(knots)), intervals)
    return graph("Add", low, graph("Mul", graph("Sub", inside, start), slope))


def _isotonic(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    # The thresholds are rounded to the dtype of the training data, so that float64 matches scikit-learn.
    column = graph("Reshape", graph.double(operator.inputs[0].full_name), graph.constant(np.array([-1, 1])))
    knots = np.asarray(model.X_thresholds_, dtype=np.float64)
    predictions = interpolate(graph, column, knots, model.y_thresholds_)
    if model.out_of_bounds != "clip" and len(knots) > 1:  # NaN where scikit-learn returns NaN or raises
        below, above = graph("Less", column, graph.number(knots[0])), graph("Greater", column, graph.number(knots[-1]))
        predictions = graph("Where", graph("Or", below, above), graph.number(np.nan), predictions)
    graph.single(predictions, output=operator.outputs[0].full_name)


def _splines(scope: Scope, operator: Operator, container: Container) -> None:
    """Evaluate B-splines by de Boor's recursion, for all columns at once."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    if model.extrapolation not in {"constant", "linear", "continue"}:
        raise UnsupportedModelError(
            f"SplineTransformer: extrapolation='{model.extrapolation}' is not supported in ONNX.",
            fix="train it with 'constant', 'linear' or 'continue'.",
        )
    degree = model.degree
    knots = np.stack([spline.t for spline in model.bsplines_])  # [features, knots]
    count = knots.shape[1] - degree - 1
    low, high = knots[:, degree : degree + 1], knots[:, count : count + 1]
    rows = graph("Unsqueeze", graph.double(operator.inputs[0].full_name), graph.constant(np.array([2])))
    value = rows
    if model.extrapolation != "continue":
        value = graph("Min", graph("Max", rows, graph.number(low)), graph.number(high))
    inner = graph("GreaterOrEqual", value, graph.number(knots[:, degree + 1 : count]))
    interval = graph("Add", graph.reduce_sum(graph("Cast", inner, to=INT64), 2), graph.constant(np.array(degree)))
    base = graph("Cast", graph("Equal", interval, graph.constant(np.arange(knots.shape[1] - 1))), to=DOUBLE)
    bases = [base]
    for order in range(1, degree + 1):
        bases.append(_next_order(graph, bases[-1], value, knots, order))
    splines = bases[-1]
    if model.extrapolation == "linear" and degree > 0:
        slope = _derivatives(graph, bases[-2], knots, degree)
        splines = graph("Add", splines, graph("Mul", graph("Sub", rows, value), slope))
    if not model.include_bias:
        splines = graph("Gather", splines, graph.constant(np.arange(count - 1)), axis=2)
    columns = len(knots) * (count if model.include_bias else count - 1)
    table = graph("Reshape", splines, graph.constant(np.array([-1, columns])))
    graph.single(table, output=operator.outputs[0].full_name)


def _adjacent(graph: GraphBuilder, base: str, size: int) -> tuple[str, str]:
    return (
        graph("Gather", base, graph.constant(np.arange(size)), axis=2),
        graph("Gather", base, graph.constant(np.arange(1, size + 1)), axis=2),
    )


def _next_order(graph: GraphBuilder, base: str, value: str, knots: np.ndarray, order: int) -> str:
    """Compute the B-splines of an order from those of the previous order."""
    size = knots.shape[1] - order - 1
    left, right = _adjacent(graph, base, size)
    start, end = knots[:, :size], knots[:, order + 1 : order + 1 + size]
    up = graph("Div", graph("Sub", value, graph.number(start)), graph.number(knots[:, order : order + size] - start))
    down = graph("Div", graph("Sub", graph.number(end), value), graph.number(end - knots[:, 1 : size + 1]))
    return graph("Add", graph("Mul", left, up), graph("Mul", right, down))


def _derivatives(graph: GraphBuilder, base: str, knots: np.ndarray, degree: int) -> str:
    """Compute the derivatives of B-splines from the splines of the previous order."""
    size = knots.shape[1] - degree - 1
    left, right = _adjacent(graph, base, size)
    up = graph.number(degree / (knots[:, degree : degree + size] - knots[:, :size]))
    down = graph.number(degree / (knots[:, degree + 1 : degree + 1 + size] - knots[:, 1 : size + 1]))
    return graph("Sub", graph("Mul", left, up), graph("Mul", right, down))
