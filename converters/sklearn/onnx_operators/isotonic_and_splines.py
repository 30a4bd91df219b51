"""Models that interpolate between knots as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, INT64, Container, Nodes, Operator, Scope

__all__ = ["interpolated_converters", "piecewise"]


def interpolated_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.isotonic import IsotonicRegression
    from sklearn.preprocessing import SplineTransformer

    return {IsotonicRegression: _isotonic, SplineTransformer: _splines}


def piecewise(nodes: Nodes, column: str, knots: np.ndarray, values: np.ndarray) -> str:
    """Linear between knots and constant outside, of a float64 column ``[batch, 1]``."""
    knots, values = np.asarray(knots, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(knots) == 1:
        return nodes("Add", nodes("Mul", column, nodes.number(0.0)), nodes.number(values))
    inside = nodes("Min", nodes("Max", column, nodes.number(knots[0])), nodes.number(knots[-1]))
    above = nodes("Cast", nodes("GreaterOrEqual", inside, nodes.number(knots[None, 1:-1])), to=INT64)
    places = nodes.total(above, 1)
    start, low = (nodes("Gather", nodes.number(array[:-1]), places) for array in (knots, values))
    slope = nodes("Gather", nodes.number(np.diff(values) / np.diff(knots)), places)
    return nodes("Add", low, nodes("Mul", nodes("Sub", inside, start), slope))


def _isotonic(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    # It rounds to the type that it was trained on.
    column = nodes("Reshape", nodes.double(operator.inputs[0].full_name), nodes.constant(np.array([-1, 1])))
    knots = np.asarray(model.X_thresholds_, dtype=np.float64)
    made = piecewise(nodes, column, knots, model.y_thresholds_)
    if model.out_of_bounds != "clip" and len(knots) > 1:  # NaN, where scikit-learn gives that or raises
        below, above = nodes("Less", column, nodes.number(knots[0])), nodes("Greater", column, nodes.number(knots[-1]))
        made = nodes("Where", nodes("Or", below, above), nodes.number(np.nan), made)
    nodes.single(made, output=operator.outputs[0].full_name)


def _splines(scope: Scope, operator: Operator, container: Container) -> None:
    """De Boor's recursion on the interval that the value lies in, of all columns at once."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    if model.extrapolation not in {"constant", "linear", "continue"}:
        raise UnsupportedModelError(
            f"A SplineTransformer with extrapolation='{model.extrapolation}' has no route.",
            fix="train it with 'constant', 'linear' or 'continue'.",
        )
    degree = model.degree
    knots = np.stack([spline.t for spline in model.bsplines_])  # [features, knots]
    count = knots.shape[1] - degree - 1
    low, high = knots[:, degree : degree + 1], knots[:, count : count + 1]
    given = nodes("Unsqueeze", nodes.double(operator.inputs[0].full_name), nodes.constant(np.array([2])))
    value = given
    if model.extrapolation != "continue":
        value = nodes("Min", nodes("Max", given, nodes.number(low)), nodes.number(high))
    inner = nodes("GreaterOrEqual", value, nodes.number(knots[:, degree + 1 : count]))
    place = nodes("Add", nodes.total(nodes("Cast", inner, to=INT64), 2), nodes.constant(np.array(degree)))
    base = nodes("Cast", nodes("Equal", place, nodes.constant(np.arange(knots.shape[1] - 1))), to=DOUBLE)
    bases = [base]
    for order in range(1, degree + 1):
        bases.append(_raised(nodes, bases[-1], value, knots, order))
    made = bases[-1]
    if model.extrapolation == "linear" and degree > 0:
        slope = _slopes(nodes, bases[-2], knots, degree)
        made = nodes("Add", made, nodes("Mul", nodes("Sub", given, value), slope))
    if not model.include_bias:
        made = nodes("Gather", made, nodes.constant(np.arange(count - 1)), axis=2)
    columns = len(knots) * (count if model.include_bias else count - 1)
    table = nodes("Reshape", made, nodes.constant(np.array([-1, columns])))
    nodes.single(table, output=operator.outputs[0].full_name)


def _neighbours(nodes: Nodes, base: str, size: int) -> tuple[str, str]:
    return (
        nodes("Gather", base, nodes.constant(np.arange(size)), axis=2),
        nodes("Gather", base, nodes.constant(np.arange(1, size + 1)), axis=2),
    )


def _raised(nodes: Nodes, base: str, value: str, knots: np.ndarray, order: int) -> str:
    """B-splines of an order from those of the one before."""
    size = knots.shape[1] - order - 1
    left, right = _neighbours(nodes, base, size)
    start, end = knots[:, :size], knots[:, order + 1 : order + 1 + size]
    up = nodes("Div", nodes("Sub", value, nodes.number(start)), nodes.number(knots[:, order : order + size] - start))
    down = nodes("Div", nodes("Sub", nodes.number(end), value), nodes.number(end - knots[:, 1 : size + 1]))
    return nodes("Add", nodes("Mul", left, up), nodes("Mul", right, down))


def _slopes(nodes: Nodes, base: str, knots: np.ndarray, degree: int) -> str:
    """Derivatives of B-splines from those of one order less."""
    size = knots.shape[1] - degree - 1
    left, right = _neighbours(nodes, base, size)
    up = nodes.number(degree / (knots[:, degree : degree + size] - knots[:, :size]))
    down = nodes.number(degree / (knots[:, degree + 1 : degree + 1 + size] - knots[:, 1 : size + 1]))
    return nodes("Sub", nodes("Mul", left, up), nodes("Mul", right, down))
