"""Quadratic discriminant analysis as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import Container, GraphBuilder, Operator, Scope

__all__ = ["discriminant_converters"]


def discriminant_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

    return {QuadraticDiscriminantAnalysis: _quadratic}


def _quadratic(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    rows = graph.double(operator.inputs[0].full_name)
    terms = []
    for mean, rotation, scaling in zip(model.means_, model.rotations_, model.scalings_, strict=True):
        rotated = graph("MatMul", graph("Sub", rows, graph.number(mean)), graph.number(rotation / np.sqrt(scaling)))
        terms.append(graph.reduce_sum(graph("Mul", rotated, rotated), 1))
    log_determinants = [np.log(scaling).sum() for scaling in model.scalings_]
    squares = graph("Add", graph("Concat", *terms, axis=1), graph.number(log_determinants))
    decisions = graph("Add", graph("Mul", squares, graph.number(-0.5)), graph.number(np.log(model.priors_)))
    label, scores = (output.full_name for output in operator.outputs)
    graph.single(graph("Softmax", decisions, axis=1), output=scores)
    graph.label(decisions, model.classes_, output=label)
