"""MinMaxScaler as ONNX, with scikit-learn's own rounding.

Trees and neighbours behind a scaler part rows that differ in the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .skl2onnx_nodes import DOUBLE, FLOAT, Nodes

__all__ = ["scaling_converters"]


def scaling_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.preprocessing import MinMaxScaler

    return {MinMaxScaler: _min_max}


def _min_max(scope: Any, operator: Any, container: Any) -> None:
    """Multiplies and adds in float64, and rounds to float32 after each."""
    model = operator.raw_operator
    nodes = Nodes(scope, container)
    value = operator.inputs[0].full_name
    for kind, operand in (("Mul", model.scale_), ("Add", model.min_)):
        constant = nodes.constant(np.asarray(operand, dtype=np.float64))
        value = nodes("Cast", nodes(kind, nodes("Cast", value, to=DOUBLE), constant), to=FLOAT)
    if model.clip:
        ends = [nodes.constant(np.array(end, dtype=np.float32)) for end in model.feature_range]
        value = nodes("Clip", value, *ends)
    nodes("Identity", value, output=operator.outputs[0].full_name)
