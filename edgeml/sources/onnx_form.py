"""One form for ONNX models as exporters of all ages write them."""

from __future__ import annotations

from typing import Any

from edgeml.core.formats.onnx_contents import graphs, rename_tensors
from edgeml.core.tensors import plain_names

__all__ = ["normalize"]


def normalize(model: Any) -> None:
    """Bring an `onnx.ModelProto` into one form, in place.

    Weights are not inputs, free sizes do not have a number, inputs and outputs have plain names, scores are arrays and
    not sequences of maps, each set of operators is listed once, and nothing remains of training.
    """
    del model.training_info[:]
    _list_operator_sets_once(model)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.HasField("dim_value") and size.dim_value < 0:
                size.ClearField("dim_value")
    _unzip(graph)
    _rename(graph)


def _list_operator_sets_once(model: Any) -> None:
    """Keep one entry for each domain: the last, which onnxruntime uses."""
    versions = {("" if entry.domain == "ai.onnx" else entry.domain): entry.version for entry in model.opset_import}
    del model.opset_import[:]
    for domain, version in versions.items():
        model.opset_import.add(domain=domain, version=version)


def _unzip(graph: Any) -> None:
    """Replace outputs that are sequences of maps from labels to scores by the arrays of scores."""
    import onnx

    makers = {node.output[0]: node for node in graph.node if node.op_type == "ZipMap" and node.output}
    for value in graph.output:
        node = makers.get(value.name)
        if node is not None and value.type.HasField("sequence_type"):
            labels = [len(each.ints or each.strings) for each in node.attribute]
            node.op_type, node.domain = "Cast", ""
            del node.attribute[:]
            node.attribute.add(name="to", type=onnx.AttributeProto.INT, i=onnx.TensorProto.FLOAT)
            shape = [None, labels[0] if labels else None]
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, shape))


def _rename(graph: Any) -> None:
    """Give inputs and outputs plain names."""
    ends = list(dict.fromkeys(value.name for value in (*graph.input, *graph.output)))
    new = dict(zip(ends, plain_names(ends), strict=True))
    used = _names(graph) - set(ends)
    reserved = used | set(new.values())
    for name in sorted(used.intersection(new.values())):  # the new name of an input or output is in use
        new[name] = _free_name(name, reserved)
        reserved.add(new[name])
    rename_tensors(graph, new)


def _names(graph: Any) -> set[str]:
    """Return the names of all tensors of a graph and of those within it."""
    names: set[str] = set()
    for part in graphs(graph):
        names.update(value.name for value in (*part.input, *part.output, *part.initializer))
        for node in part.node:
            names.update(node.input, node.output)
    return names - {""}


def _free_name(name: str, reserved: set[str]) -> str:
    number = 1
    while f"{name}__{number}" in reserved:
        number += 1
    return f"{name}__{number}"
