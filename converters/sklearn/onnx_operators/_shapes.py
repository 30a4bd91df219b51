"""Types and shapes of outputs that skl2onnx wants to know before a conversion function of our own runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..prepare.used_columns import Selection
from ._builder import Operator

__all__ = ["same_shape", "shape_of"]


def same_shape(operator: Operator) -> None:
    """Sets the output of what works on each number, or puts columns together, to the type of the input."""
    widths = [variable.type.shape[1] for variable in operator.inputs]
    operator.outputs[0].type = type(operator.inputs[0].type)([None, None if None in widths else sum(widths)])


def shape_of(operator: Operator) -> None:
    """Sets them, by what the model gives for a row of ones.

    Classifiers have a label and a table of scores, clusterers an int64 label and a table, the rest one table of
    at least one column.
    """
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.base import is_classifier, is_clusterer

    model = operator.raw_operator
    if isinstance(model, Selection):
        operator.outputs[0].type = type(operator.inputs[0].type)([None, len(model.places)])
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
        [None, _columns(model, operator.inputs[0].type.shape[1] or model.n_features_in_)]
    )


def _columns(model: Any, width: int) -> int:
    if getattr(model, "_training_dim", None) == 1:  # a TransformedTargetRegressor: what it takes may be text
        return 1
    probe = np.ones((1, width), dtype=np.float32)
    made = model.predict(probe) if hasattr(model, "predict") else model.transform(probe)
    return 1 if np.ndim(made) == 1 else int(made.shape[1])
