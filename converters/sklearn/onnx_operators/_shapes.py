"""Output types and shapes, which skl2onnx requires before a conversion function runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..prepare.used_columns import ColumnSelection
from ._builder import Operator

__all__ = ["infer_shapes", "propagate_shape"]


def propagate_shape(operator: Operator) -> None:
    """Set the output type of an element-wise operator, or a concatenation, to that of its inputs."""
    widths = [variable.type.shape[1] for variable in operator.inputs]
    operator.outputs[0].type = type(operator.inputs[0].type)([None, None if None in widths else sum(widths)])


def infer_shapes(operator: Operator) -> None:
    """Set the output types of a model. Where they do not follow from its kind, run it on a row of ones.

    Classifiers return a label and a table of scores, clusterers an int64 label and a table, and other models one table
    of at least one column.
    """
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.base import is_classifier, is_clusterer

    model = operator.raw_operator
    if isinstance(model, ColumnSelection):
        operator.outputs[0].type = type(operator.inputs[0].type)([None, len(model.indices)])
        return
    if is_classifier(model):
        numbers = np.asarray(model.classes_).dtype.kind in "biuf"
        operator.outputs[0].type = (Int64TensorType if numbers else StringTensorType)([None])
        operator.outputs[1].type = FloatTensorType([None, len(model.classes_)])
        return
    if is_clusterer(model) and len(operator.outputs) > 1:
        operator.outputs[0].type = Int64TensorType([None])
        operator.outputs[1].type = FloatTensorType([None, None])
        return
    operator.outputs[0].type = FloatTensorType(
        [None, _output_width(model, operator.inputs[0].type.shape[1] or model.n_features_in_)]
    )


def _output_width(model: Any, width: int) -> int:
    if getattr(model, "_training_dim", None) == 1:  # a TransformedTargetRegressor, whose inputs can be strings
        return 1
    probe = np.ones((1, width), dtype=np.float32)
    output = model.predict(probe) if hasattr(model, "predict") else model.transform(probe)
    return 1 if np.ndim(output) == 1 else int(output.shape[1])
