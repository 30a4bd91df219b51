"""Adaptation of skl2onnx's outputs to the names, order and shapes of the source."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.conversion import Source
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.tensors import Signature, TensorSpec

from ._builder import FLOAT

__all__ = ["set_outputs"]

_ML_OPSET = 3  # the version of the LabelEncoder that is used here


def set_outputs(model: Any, source: Source, signature: Signature) -> Any:
    """Convert the outputs of skl2onnx's `onnx.ModelProto` to those of the signature, with its batch size.

    skl2onnx returns a label and a table of scores for classifiers, a label and other tensors for clusterers, and one
    table for other models. For one number per row, the table has one column or, for the scores of two classes, two.

    Raises:
        UnsupportedModelError: skl2onnx does not produce one of the outputs.
    """
    from onnx import TensorProto, compose, helper

    # skl2onnx names tensors label and scores, too.
    model = compose.add_prefix(model, "skl2onnx_", rename_inputs=False)
    graph = model.graph
    model_outputs = list(graph.output)
    del graph.output[:]
    for value, spec in zip(graph.input, signature.inputs, strict=True):
        dtype = {"string": TensorProto.STRING, "float64": TensorProto.DOUBLE}.get(spec.dtype, TensorProto.FLOAT)
        value.CopyFrom(helper.make_tensor_value_info(spec.name, dtype, list(spec.shape)))
    tail = _Tail(graph)
    for spec in signature.outputs:
        dtype = {"string": TensorProto.STRING, "int64": TensorProto.INT64}.get(spec.dtype, TensorProto.FLOAT)
        votes = spec.meaning == "scores" and _has_labels_only(source.model)
        candidates = model_outputs[1:2] if spec.meaning == "scores" and not votes else model_outputs[:1]
        if not candidates or not candidates[0].type.HasField("tensor_type"):
            raise UnsupportedModelError(
                f"{source.info.architecture}: the output '{spec.name}' is not supported by skl2onnx.",
                fix="package the inner estimator.",
            )
        if spec.meaning == "label" and _breaks_ties(source.model):
            tensor, tensor_dtype = _best_label(tail, model_outputs[1].name, source.model.classes_), dtype
        elif votes:
            tensor, tensor_dtype = _one_hot(tail, candidates[0].name, source.model.classes_), TensorProto.FLOAT
        else:
            tensor, tensor_dtype = _reshape(tail, candidates[0], spec), candidates[0].type.tensor_type.elem_type
        if tensor_dtype == dtype:
            tail.end("Identity", tensor, spec.name)
        else:
            tail.end("Cast", tensor, spec.name, to=dtype)
        graph.output.append(helper.make_tensor_value_info(spec.name, dtype, list(spec.shape)))
    if any(node.op_type == "LabelEncoder" for node in graph.node):
        others = [opset for opset in model.opset_import if opset.domain != "ai.onnx.ml"]
        del model.opset_import[:]
        model.opset_import.extend([*others, helper.make_opsetid("ai.onnx.ml", _ML_OPSET)])
    return model


def _has_labels_only(model: Any) -> bool:
    return not hasattr(model, "predict_proba") and not hasattr(model, "decision_function")


def _breaks_ties(model: Any) -> bool:
    """Return whether a support vector machine decides by its scores, not by the votes that skl2onnx counts."""
    inner = getattr(model, "best_estimator_", model)
    while hasattr(inner, "steps"):
        inner = inner.steps[-1][1]
    return bool(getattr(inner, "break_ties", False)) and len(model.classes_) > 2 and not hasattr(model, "predict_proba")


def _best_label(tail: _Tail, scores: str, classes: np.ndarray) -> str:
    """Return the label of the largest score ``[batch]``."""
    names = tail.constant(classes.astype(np.int64) if classes.dtype.kind in "biuf" else classes.astype(object))
    return tail("Gather", names, tail("ArgMax", scores, axis=1, keepdims=0))


def _one_hot(tail: _Tail, label: str, classes: np.ndarray) -> str:
    """Return the label one-hot encoded, float32 ``[batch, classes]``."""
    values = classes.astype(np.int64) if classes.dtype.kind in "biuf" else np.arange(len(classes))
    if classes.dtype.kind not in "biuf":
        label = tail(
            "LabelEncoder", label, domain="ai.onnx.ml", keys_strings=classes.tolist(), values_int64s=values.tolist()
        )
    column = tail("Reshape", label, tail.constant(np.array([-1, 1])))
    return tail("Cast", tail("Equal", column, tail.constant(values)), to=FLOAT)


def _reshape(tail: _Tail, value: Any, spec: TensorSpec) -> str:
    declared = len(value.type.tensor_type.shape.dim)
    if spec.meaning == "label" and declared != 1:
        return tail("Reshape", value.name, tail.constant(np.array([-1])))  # the declared shape can be wrong
    if len(spec.shape) == 1 and declared > 1:
        last = tail.constant(np.array(-1))  # the only column, or the second of two classes
        return tail("Gather", value.name, last, axis=1)
    return str(value.name)


class _Tail:
    """A builder that appends nodes to a graph; a call returns the name of the node's output."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._count = 0

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.end(kind, *inputs, self._name(), **attributes)

    def end(self, kind: str, *names: str, **attributes: Any) -> str:
        """Append a node whose output has the last of the names."""
        from onnx import helper

        *inputs, output = names
        self._graph.node.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, values: np.ndarray) -> str:
        from onnx import numpy_helper

        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def _name(self) -> str:
        self._count += 1
        return f"edgeml_{self._count}"
