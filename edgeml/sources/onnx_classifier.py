"""Classifiers in ONNX files that return a label beside the scores, as skl2onnx and other converters write them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from edgeml.core.tensors import Label

__all__ = ["Classifier", "find_classifier"]

_MOVING = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
_LABELS = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
_ORDERED = {"LogSoftmax", "Normalizer", "Sigmoid", "Softmax", "ZipMap"}
_SELECTING = {"ArrayFeatureExtractor", "Gather"}
_LABEL_DTYPES = {"INT32", "INT64", "STRING"}
_SCORE_DTYPES = {"UNDEFINED", "FLOAT", "DOUBLE"}  # the first of sequences of maps


class Classifier(Struct, frozen=True):
    """The outputs of a classifier.

    Attributes:
        label: Position of the output with a label for each sample.
        scores: Position of the output with a score for each label.
        labels: The labels, in the order of the scores.
    """

    label: int
    scores: int
    labels: tuple[Label, ...]


def find_classifier(graph: Any) -> Classifier | None:
    """Return the classifier of a graph with two outputs, a label and its scores; None for other graphs."""
    import onnx

    if len(graph.output) != 2:
        return None
    kinds = [onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type) for value in graph.output]
    producers = {name: node for node in graph.node for name in node.output}
    for label, scores in ((0, 1), (1, 0)):
        if kinds[label] not in _LABEL_DTYPES or kinds[scores] not in _SCORE_DTYPES:
            continue
        scored = graph.output[scores].name
        labels = _labels(graph.output[label].name, scored, producers, graph)
        zipped = producers.get(scored)
        if not labels and zipped is not None and zipped.op_type == "ZipMap":
            labels = _listed(zipped)
        if len(set(labels)) == len(labels) > 1:
            return Classifier(label, scores, labels)
    return None


def _labels(name: str, scores: str, producers: dict[str, Any], graph: Any) -> tuple[Label, ...]:
    """Return the labels among which the operator behind an output selects; empty where it does not show them."""
    node = _moved_from(name, producers)
    if node is None:
        return ()
    if node.op_type not in _SELECTING:
        return _listed(node)
    largest = _moved_from(node.input[1], producers)
    if largest is None or largest.op_type not in {"ArgMax", "TopK"}:
        return ()
    is_of_scores = _origin(largest.input[0], producers) == _origin(scores, producers)
    return _stored(node.input[0], producers, graph) if is_of_scores else ()


def _moved_from(name: str, producers: dict[str, Any]) -> Any:
    """Return the operator behind those that only move numbers; None for an input or a constant."""
    node = producers.get(name)
    for _ in range(len(producers)):
        if node is None or node.op_type not in _MOVING:
            break
        node = producers.get(node.input[0])
    return node


def _origin(name: str, producers: dict[str, Any]) -> str:
    """Return the tensor behind operators that keep the order of the scores of a sample."""
    for _ in range(len(producers)):
        node = producers.get(name)
        if node is None or node.op_type not in _MOVING | _ORDERED:
            break
        name = node.input[0]
    return name


def _listed(node: Any) -> tuple[Label, ...]:
    for attribute in node.attribute:
        if attribute.name in _LABELS and (attribute.ints or attribute.strings):
            return tuple(attribute.ints) or tuple(text.decode() for text in attribute.strings)
    return ()


def _stored(name: str, producers: dict[str, Any], graph: Any) -> tuple[Label, ...]:
    from onnx import numpy_helper

    constant = producers.get(name)
    tensors = [tensor for tensor in graph.initializer if tensor.name == name]
    if constant is not None and constant.op_type == "Constant":
        tensors = [attribute.t for attribute in constant.attribute if attribute.name == "value"]
    if not tensors:
        return ()
    values = numpy_helper.to_array(tensors[0]).reshape(-1).tolist()
    return tuple(value.decode() if isinstance(value, bytes) else value for value in values)
