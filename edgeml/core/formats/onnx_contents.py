"""Contents of ONNX files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from edgeml.core.formats.contents import FileContents, TensorContents

__all__ = ["graphs", "onnx_contents", "rename_tensors", "stored_tensors"]

_MOST_TEXT = 200
_MOST_DEPTH = 50
_DTYPES = {"FLOAT": "float32", "DOUBLE": "float64", "STRING": "string"}
_DEFAULT_DOMAINS = {"", "ai.onnx"}


def onnx_contents(model: Any) -> FileContents:
    """Read the tensors, operators and metadata of an `onnx.ModelProto`.

    Weights in other files are named, not read.
    """
    graph = model.graph
    weight_names = {tensor.name for tensor in graph.initializer}
    operators: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    files: dict[str, None] = {}
    for part in graphs(graph):
        operators.update(_operator(node) for node in part.node)
        for tensor in stored_tensors(part):
            locations = [entry.value for entry in tensor.external_data if entry.key == "location"]
            files |= dict.fromkeys(locations)
            weights[_dtype(tensor.data_type)] += 0 if locations else tensor.ByteSize()
    versions = {"ONNX IR": str(model.ir_version)}
    versions |= {f"opset {entry.domain or 'ai.onnx'}": str(entry.version) for entry in model.opset_import}
    producer = f"{model.producer_name} {model.producer_version}".strip()
    entries = {"producer": producer, "domain": model.domain, "description": model.doc_string}
    entries |= {entry.key: entry.value for entry in model.metadata_props}
    if files:
        entries["weights in other files"] = ", ".join(files)
    if model.functions:
        entries["functions"] = str(len(model.functions))
    return FileContents(
        tuple(_tensor(value) for value in graph.input if value.name not in weight_names),
        tuple(map(_tensor, graph.output)),
        dict(operators.most_common()),
        {dtype: size for dtype, size in weights.most_common() if size},
        versions,
        {name: value[:_MOST_TEXT] for name, value in entries.items() if value},
    )


def graphs(graph: Any, depth: int = 0) -> Iterator[Any]:
    """Yield a graph and those nested in its operators."""
    yield graph
    if depth == _MOST_DEPTH:
        return
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.ByteSize():
                    yield from graphs(inner, depth + 1)


def rename_tensors(graph: Any, names: Mapping[str, str]) -> None:
    """Give tensors of a graph new names, in place, where they are defined and where they are read."""
    for part in graphs(graph):
        for tensor in (*part.input, *part.output, *part.initializer, *part.value_info):
            tensor.name = names.get(tensor.name, tensor.name)
        for node in part.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]


def stored_tensors(graph: Any) -> Iterator[Any]:
    """Yield the tensors that a graph stores: its initializers, and those in attributes, as of constants."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _operator(node: Any) -> str:
    return node.op_type if node.domain in _DEFAULT_DOMAINS else f"{node.domain}.{node.op_type}"


def _tensor(value: Any) -> TensorContents:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return TensorContents(value.name, None, str(kind or "unknown").removesuffix("_type"))
    tensor = value.type.tensor_type
    sizes = tuple(size.dim_value if size.HasField("dim_value") else size.dim_param or None for size in tensor.shape.dim)
    return TensorContents(value.name, sizes if tensor.HasField("shape") else None, _dtype(tensor.elem_type))


def _dtype(code: int) -> str:
    import onnx

    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    name = names.get(code, f"type {code}")
    return _DTYPES.get(name, name.lower())
