"""Dummies as ONNX: answers that do not depend on the row."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import Container, Nodes, Operator, Scope

__all__ = ["dummy_converters"]


def dummy_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return {DummyClassifier: _classifier, DummyRegressor: _regressor}


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model = operator.raw_operator
    if model.strategy in {"stratified", "uniform"}:
        raise UnsupportedModelError(
            f"A DummyClassifier with the strategy '{model.strategy}' draws its answers at random.",
            fix="train it with another strategy.",
        )
    probe = np.zeros((1, operator.inputs[0].type.shape[1]), dtype=np.float32)
    nodes = Nodes(scope, container)
    label, scores = (output.full_name for output in operator.outputs)
    nodes.single(nodes.repeated(operator.inputs[0].full_name, model.predict_proba(probe)), output=scores)
    chosen = np.eye(len(model.classes_))[np.searchsorted(model.classes_, model.predict(probe))]
    nodes.label(nodes.repeated(operator.inputs[0].full_name, chosen), model.classes_, output=label)


def _regressor(scope: Scope, operator: Operator, container: Container) -> None:
    nodes = Nodes(scope, container)
    values = nodes.repeated(operator.inputs[0].full_name, operator.raw_operator.constant_)
    nodes.single(values, output=operator.outputs[0].full_name)
