"""Quadratic discriminant analysis as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import Container, Nodes, Operator, Scope

__all__ = ["discriminant_converters"]


def discriminant_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

    return {QuadraticDiscriminantAnalysis: _quadratic}


def _quadratic(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = nodes.double(operator.inputs[0].full_name)
    terms = []
    for mean, rotation, scaling in zip(model.means_, model.rotations_, model.scalings_, strict=True):
        turned = nodes("MatMul", nodes("Sub", rows, nodes.number(mean)), nodes.number(rotation / np.sqrt(scaling)))
        terms.append(nodes.total(nodes("Mul", turned, turned), 1))
    sizes = [np.log(scaling).sum() for scaling in model.scalings_]
    squares = nodes("Add", nodes("Concat", *terms, axis=1), nodes.number(sizes))
    decisions = nodes("Add", nodes("Mul", squares, nodes.number(-0.5)), nodes.number(np.log(model.priors_)))
    label, scores = (output.full_name for output in operator.outputs)
    nodes.single(nodes("Softmax", decisions, axis=1), output=scores)
    nodes.label(decisions, model.classes_, output=label)
