"""skl2onnx's outputs as the source's: by its names, in its order, with its shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.conversion import Source
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.tensors import Signature, TensorSpec

from ._builder import FLOAT

__all__ = ["with_outputs"]

_ML_OPSET = 3  # knows the LabelEncoder that is used here


def with_outputs(model: Any, source: Source, signature: Signature) -> Any:
    """The `onnx.ModelProto` of skl2onnx, ended in the signature's outputs and with its batch.

    skl2onnx gives a label and a table of scores for classifiers, a label and more for clusterers, and one
    table for the rest; where scikit-learn gives one number a row, its table has one column or, for the
    scores of two classes, two.

    Raises:
        UnsupportedModelError: It gives no such outputs.
    """
    from onnx import TensorProto, compose, helper

    # It, too, calls tensors label and scores.
    model = compose.add_prefix(model, "skl2onnx_", rename_inputs=False)
    graph = model.graph
    given = list(graph.output)
    del graph.output[:]
    for value, spec in zip(graph.input, signature.inputs, strict=True):
        kind = {"string": TensorProto.STRING, "float64": TensorProto.DOUBLE}.get(spec.dtype, TensorProto.FLOAT)
        value.CopyFrom(helper.make_tensor_value_info(spec.name, kind, list(spec.shape)))
    tail = _Tail(graph)
    for spec in signature.outputs:
        kind = {"string": TensorProto.STRING, "int64": TensorProto.INT64}.get(spec.dtype, TensorProto.FLOAT)
        votes = spec.meaning == "scores" and _only_votes(source.model)
        chosen = given[1:2] if spec.meaning == "scores" and not votes else given[:1]
        if not chosen or not chosen[0].type.HasField("tensor_type"):
            raise UnsupportedModelError(
                f"skl2onnx gives no table of {spec.name} for the {source.info.architecture}.",
                fix="package the estimator inside of it.",
            )
        if votes:
            tensor, found = _votes(tail, chosen[0].name, source.model.classes_), TensorProto.FLOAT
        else:
            tensor, found = _shaped(tail, chosen[0], spec), chosen[0].type.tensor_type.elem_type
        if found == kind:
            tail.end("Identity", tensor, spec.name)
        else:
            tail.end("Cast", tensor, spec.name, to=kind)
        graph.output.append(helper.make_tensor_value_info(spec.name, kind, list(spec.shape)))
    if any(node.op_type == "LabelEncoder" for node in graph.node):
        others = [opset for opset in model.opset_import if opset.domain != "ai.onnx.ml"]
        del model.opset_import[:]
        model.opset_import.extend([*others, helper.make_opsetid("ai.onnx.ml", _ML_OPSET)])
    return model


def _only_votes(model: Any) -> bool:
    return not hasattr(model, "predict_proba") and not hasattr(model, "decision_function")


def _votes(tail: _Tail, label: str, classes: np.ndarray) -> str:
    """One-hot float32 ``[batch, classes]`` of the label."""
    values = classes.astype(np.int64) if classes.dtype.kind in "biuf" else np.arange(len(classes))
    if classes.dtype.kind not in "biuf":
        label = tail(
            "LabelEncoder", label, domain="ai.onnx.ml", keys_strings=classes.tolist(), values_int64s=values.tolist()
        )
    column = tail("Reshape", label, tail.constant(np.array([-1, 1])))
    return tail("Cast", tail("Equal", column, tail.constant(values)), to=FLOAT)


def _shaped(tail: _Tail, value: Any, spec: TensorSpec) -> str:
    declared = len(value.type.tensor_type.shape.dim)
    if spec.meaning == "label" and declared != 1:
        return tail("Reshape", value.name, tail.constant(np.array([-1])))  # what is declared need not be true
    if len(spec.shape) == 1 and declared > 1:
        last = tail.constant(np.array(-1))  # the one column, or of two classes the second one's
        return tail("Gather", value.name, last, axis=1)
    return str(value.name)


class _Tail:
    """Adds nodes to a graph's end; a call gives the name of the node's output."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._count = 0

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.end(kind, *inputs, self._name(), **attributes)

    def end(self, kind: str, *names: str, **attributes: Any) -> str:
        """Adds a node whose output has the last of the names."""
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
