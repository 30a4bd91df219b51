"""Calibrated classifiers as ONNX: calibrators in float64, applied to the scores from skl2onnx."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import DOUBLE, Container, GraphBuilder, Operator, Scope
from ._decision_scores import decision_scores
from .isotonic_and_splines import interpolate

__all__ = ["calibrated_converters"]

_LOG_OFFSET = 1e-12  # of scikit-learn, to avoid the logarithm of 0


def calibrated_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.calibration import CalibratedClassifierCV

    return {CalibratedClassifierCV: _calibrated_classifier}


def _calibrated_classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    probabilities = [_calibrate(graph, inner, operator.inputs[0]) for inner in model.calibrated_classifiers_]
    mean = graph("Div", graph("Sum", *probabilities), graph.number(float(len(probabilities))))
    label, scores = (output.full_name for output in operator.outputs)
    graph.single(mean, output=scores)
    graph.label(mean, model.classes_, output=label)


def _calibrate(graph: GraphBuilder, model: Any, rows: Any) -> str:
    """Return the probabilities of one calibrated classifier, float64 ``[batch, classes]``."""
    scores = decision_scores(graph, model.estimator, rows)
    count, classes = len(model.classes), np.asarray(model.classes)
    unity = graph.number(1.0)
    if model.method == "temperature":
        return _temperature(graph, model, scores)
    if count == 2:
        second = _apply_calibrator(graph, model.calibrators[0], scores)
        return graph("Concat", graph("Sub", unity, second), second, axis=1)
    columns = [graph.repeat_row(rows.full_name, [0.0])] * count  # 0 for classes without a calibrator
    for index, (label, calibrator) in enumerate(zip(model.estimator.classes_, model.calibrators, strict=True)):
        columns[int(np.searchsorted(classes, label))] = _apply_calibrator(
            graph, calibrator, graph.gather_columns(scores, [index])
        )
    table = graph("Concat", *columns, axis=1)
    total = graph.reduce_sum(table, 1)
    empty = graph("Equal", total, graph.number(0.0))
    shares = graph("Div", table, graph("Add", total, graph("Cast", empty, to=DOUBLE)))
    return graph("Where", empty, graph.number(1.0 / count), shares)


def _apply_calibrator(graph: GraphBuilder, calibrator: Any, column: str) -> str:
    if type(calibrator).__name__ == "IsotonicRegression":
        return interpolate(graph, column, calibrator.X_thresholds_, calibrator.y_thresholds_)
    line = graph("Add", graph("Mul", column, graph.number(-calibrator.a_)), graph.number(-calibrator.b_))
    return graph("Sigmoid", line)


def _temperature(graph: GraphBuilder, model: Any, scores: str) -> str:
    inverse_temperature = graph.number(model.calibrators[0].beta_)
    if not hasattr(model.estimator, "decision_function"):
        if len(model.classes) == 2:
            scores = graph("Concat", graph("Sub", graph.number(1.0), scores), scores, axis=1)
        scores = graph("Log", graph("Add", scores, graph.number(_LOG_OFFSET)))
    elif len(model.classes) == 2:
        scores = graph("Concat", graph("Neg", scores), scores, axis=1)
    return graph("Softmax", graph("Mul", scores, inverse_temperature), axis=1)
