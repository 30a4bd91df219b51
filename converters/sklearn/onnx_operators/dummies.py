"""Dummy estimators as ONNX, whose predictions do not depend on the input."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import Container, GraphBuilder, Operator, Scope

__all__ = ["dummy_converters"]


def dummy_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return {DummyClassifier: _classifier, DummyRegressor: _regressor}


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model = operator.raw_operator
    if model.strategy in {"stratified", "uniform"}:
        raise UnsupportedModelError(
            f"DummyClassifier: strategy='{model.strategy}' predicts at random, which is not supported.",
            fix="train it with strategy='prior' or 'most_frequent'.",
        )
    probe = np.zeros((1, operator.inputs[0].type.shape[1]), dtype=np.float32)
    graph = GraphBuilder(scope, container)
    label, scores = (output.full_name for output in operator.outputs)
    graph.single(graph.repeat_row(operator.inputs[0].full_name, model.predict_proba(probe)), output=scores)
    one_hot = np.eye(len(model.classes_))[np.searchsorted(model.classes_, model.predict(probe))]
    graph.label(graph.repeat_row(operator.inputs[0].full_name, one_hot), model.classes_, output=label)


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    graph = GraphBuilder(scope, container)
    values = graph.repeat_row(operator.inputs[0].full_name, operator.raw_operator.constant_)
    graph.single(values, output=operator.outputs[0].full_name)
