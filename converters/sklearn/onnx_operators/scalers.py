"""MinMaxScaler and Normalizer as ONNX, with scikit-learn's own rounding.

Trees and neighbours behind a scaler part rows that differ in the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import Container, Nodes, Operator, Scope

__all__ = ["scaling_converters"]


def scaling_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.preprocessing import MinMaxScaler, Normalizer

    return {MinMaxScaler: _min_max, Normalizer: _normalizer}


def _min_max(scope: Scope, operator: Operator, container: Container) -> None:
    """Multiplies and adds in float64, and rounds float32 rows to float32 after each."""
    from skl2onnx.common.data_types import DoubleTensorType

    model = operator.raw_operator
    nodes = Nodes(scope, container)
    value = operator.inputs[0].full_name
    wide = isinstance(operator.inputs[0].type, DoubleTensorType)
    for kind, operand in (("Mul", model.scale_), ("Add", model.min_)):
        value = nodes(kind, nodes.double(value), nodes.number(operand))
        value = value if wide else nodes.single(value)
    if model.clip:
        ends = [nodes.constant(np.array(end, dtype=np.float64 if wide else np.float32)) for end in model.feature_range]
        value = nodes("Clip", value, *ends)
    nodes.give(value, operator.outputs[0])


def _normalizer(scope: Scope, operator: Operator, container: Container) -> None:
    """Divides a row by its norm; scikit-learn leaves rows alone whose norm is next to nothing."""
    from skl2onnx.common.data_types import DoubleTensorType

    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = nodes.double(operator.inputs[0].full_name)
    sizes = nodes("Abs", rows)
    if model.norm == "max":
        norms = nodes("ReduceMax", sizes, axes=[1], keepdims=1)
    elif model.norm == "l1":
        norms = nodes.total(sizes, 1)
    else:
        norms = nodes("Sqrt", nodes.total(nodes("Mul", rows, rows), 1))
    wide = isinstance(operator.inputs[0].type, DoubleTensorType)
    least = 10 * np.finfo(np.float64 if wide else np.float32).eps
    norms = nodes("Where", nodes("Less", norms, nodes.number(least)), nodes.number(1.0), norms)
    nodes.give(nodes("Div", rows, norms), operator.outputs[0])
