"""Calibrated classifiers as ONNX: the calibrators in float64 on the scores that skl2onnx gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import DOUBLE, Container, Nodes, Operator, Scope
from ._decision_scores import decisions
from .isotonic_and_splines import piecewise

__all__ = ["calibrated_converters"]

_LOG_OFFSET = 1e-12  # scikit-learn's own, against the logarithm of 0


def calibrated_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.calibration import CalibratedClassifierCV

    return {CalibratedClassifierCV: _calibrated}


def _calibrated(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    made = [_one(nodes, inner, operator.inputs[0]) for inner in model.calibrated_classifiers_]
    mean = nodes("Div", nodes("Sum", *made), nodes.number(float(len(made))))
    label, scores = (output.full_name for output in operator.outputs)
    nodes.single(mean, output=scores)
    nodes.label(mean, model.classes_, output=label)


def _one(nodes: Nodes, model: Any, rows: Any) -> str:
    """Probabilities of one calibrated classifier, float64 ``[batch, classes]``."""
    given = decisions(nodes, model.estimator, rows)
    count, classes = len(model.classes), np.asarray(model.classes)
    one = nodes.number(1.0)
    if model.method == "temperature":
        return _temperature(nodes, model, given)
    if count == 2:
        second = _curve(nodes, model.calibrators[0], given)
        return nodes("Concat", nodes("Sub", one, second), second, axis=1)
    columns = [nodes.repeated(rows.full_name, [0.0])] * count  # of classes that this one has not seen
    for place, (known, calibrator) in enumerate(zip(model.estimator.classes_, model.calibrators, strict=True)):
        columns[int(np.searchsorted(classes, known))] = _curve(nodes, calibrator, nodes.columns(given, [place]))
    table = nodes("Concat", *columns, axis=1)
    total = nodes.total(table, 1)
    empty = nodes("Equal", total, nodes.number(0.0))
    shares = nodes("Div", table, nodes("Add", total, nodes("Cast", empty, to=DOUBLE)))
    return nodes("Where", empty, nodes.number(1.0 / count), shares)


def _curve(nodes: Nodes, calibrator: Any, column: str) -> str:
    if type(calibrator).__name__ == "IsotonicRegression":
        return piecewise(nodes, column, calibrator.X_thresholds_, calibrator.y_thresholds_)
    line = nodes("Add", nodes("Mul", column, nodes.number(-calibrator.a_)), nodes.number(-calibrator.b_))
    return nodes("Sigmoid", line)


def _temperature(nodes: Nodes, model: Any, given: str) -> str:
    steep = nodes.number(model.calibrators[0].beta_)
    if not hasattr(model.estimator, "decision_function"):
        if len(model.classes) == 2:
            given = nodes("Concat", nodes("Sub", nodes.number(1.0), given), given, axis=1)
        given = nodes("Log", nodes("Add", given, nodes.number(_LOG_OFFSET)))
    elif len(model.classes) == 2:
        given = nodes("Concat", nodes("Neg", given), given, axis=1)
    return nodes("Softmax", nodes("Mul", given, steep), axis=1)
