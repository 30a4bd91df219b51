"""MinMaxScaler, MaxAbsScaler and Normalizer as ONNX, with scikit-learn's rounding.

Trees and nearest neighbors after a scaler can distinguish rows that differ in the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import Container, GraphBuilder, Operator, Scope

__all__ = ["scaling_converters"]


def scaling_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer

    return {MaxAbsScaler: _max_abs, MinMaxScaler: _min_max, Normalizer: _normalizer}


def _min_max(scope: Scope, operator: Operator, container: Container) -> None:
    """Multiply and add in float64, and round float32 rows to float32 after each step."""
    from skl2onnx.common.data_types import DoubleTensorType

    model = operator.raw_operator
    graph = GraphBuilder(scope, container)
    value = operator.inputs[0].full_name
    is_float64 = isinstance(operator.inputs[0].type, DoubleTensorType)
    for kind, operand in (("Mul", model.scale_), ("Add", model.min_)):
        value = graph(kind, graph.double(value), graph.number(operand))
        value = value if is_float64 else graph.single(value)
    if model.clip:
        ends = [
            graph.constant(np.array(end, dtype=np.float64 if is_float64 else np.float32)) for end in model.feature_range
        ]
        value = graph("Clip", value, *ends)
    graph.write_output(value, operator.outputs[0])


def _max_abs(scope: Scope, operator: Operator, container: Container) -> None:
    """Divide in float64, and limit the result where the scaler does."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    value = graph("Div", graph.double(operator.inputs[0].full_name), graph.number(model.scale_))
    if model.clip:
        value = graph("Clip", value, graph.number(-1.0), graph.number(1.0))
    graph.write_output(value, operator.outputs[0])


def _normalizer(scope: Scope, operator: Operator, container: Container) -> None:
    """Divide each row by its norm; like in scikit-learn, rows with a norm near 0 stay unchanged."""
    from skl2onnx.common.data_types import DoubleTensorType

    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    rows = graph.double(operator.inputs[0].full_name)
    sizes = graph("Abs", rows)
    if model.norm == "max":
        norms = graph("ReduceMax", sizes, axes=[1], keepdims=1)
    elif model.norm == "l1":
        norms = graph.reduce_sum(sizes, 1)
    else:
        norms = graph("Sqrt", graph.reduce_sum(graph("Mul", rows, rows), 1))
    is_float64 = isinstance(operator.inputs[0].type, DoubleTensorType)
    minimum = 10 * np.finfo(np.float64 if is_float64 else np.float32).eps
    norms = graph("Where", graph("Less", norms, graph.number(minimum)), graph.number(1.0), norms)
    graph.write_output(graph("Div", rows, norms), operator.outputs[0])
