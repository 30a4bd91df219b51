"""Static checks of an ONNX file: external data, operators of other domains, and declared sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from edgeml.core.errors import InputError
from edgeml.sources.audit_findings import refuse_untrusted

__all__ = ["audit_onnx"]

# The operators of ONNX and onnxruntime are safe, but for those of onnxruntime that load other files.
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
_LOADERS = {"ATen", "EPContext", "PythonOp", "PythonOpGrad"}
_MAX_ELEMENTS = 2**28  # of a tensor that a constant shape asks for
_SHAPED = {"ConstantOfShape", "Expand", "Tile", "RandomNormal", "RandomUniform"}


def audit_onnx(model: Any, name: str, *, trust: bool) -> None:
    """Walk an `onnx.ModelProto` before any of it is loaded or run.

    Args:
        model: The model.
        name: Name of the model in messages.
        trust: Whether external data and operators of other domains are accepted.

    Raises:
        InputError: A tensor declares more data than the file holds.
        UnsupportedModelError: The model keeps data in other files, or uses operators of other domains.
    """
    findings: list[str] = []
    for tensor in _tensors(model):
        if tensor.external_data or tensor.data_location == tensor.EXTERNAL:
            location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "?")
            findings.append(f"the tensor '{tensor.name}' is stored in another file, {location!r:.80}")
        else:
            _check_size(tensor, name)
    local = {(function.domain, function.name) for function in model.functions}
    for graph in _graphs(model):
        _check_names(graph, name)
        constants = {tensor.name: tensor for tensor in getattr(graph, "initializer", ())}
        for node in graph.node:
            foreign = node.domain not in _DOMAINS and (node.domain, node.op_type) not in local
            if foreign or (node.domain == "com.microsoft" and node.op_type in _LOADERS):
                findings.append(f"the operator {node.op_type} is of the domain {node.domain!r:.80}")
            if node.op_type in _SHAPED:
                _check_shape(node, constants, name)
    refuse_untrusted(name, findings, trust=trust)


def _check_names(graph: Any, name: str) -> None:
    """Check that every name is text: protobuf returns invalid UTF-8 as bytes, on which engines fail later."""
    names: list[Any] = []
    for node in graph.node:
        names += (node.name, node.op_type, node.domain, *node.input, *node.output, *(a.name for a in node.attribute))
    if hasattr(graph, "initializer"):  # a function names its tensors only in its operators
        names += (graph.name, *(tensor.name for tensor in graph.initializer))
        for value in (*graph.input, *graph.output, *graph.value_info):
            names += (value.name, *(size.dim_param for size in value.type.tensor_type.shape.dim))
    if not all(isinstance(entry, str) for entry in names):
        raise InputError(f"{name} is corrupt: the name of a tensor or operator is not valid UTF-8.")


def _graphs(model: Any) -> Iterator[Any]:
    """Yield every graph and function body, including nested ones."""
    pending = [model.graph, *model.functions]
    for training in model.training_info:
        pending += [training.initialization, training.algorithm]
    while pending:
        graph = pending.pop()
        yield graph
        for attribute in _attributes(graph):
            pending += [inner for inner in (attribute.g, *attribute.graphs) if inner.ByteSize()]


def _attributes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield from node.attribute
    yield from getattr(graph, "attribute_proto", ())  # a function's defaults


def _tensors(model: Any) -> Iterator[Any]:
    """Yield every tensor that the file stores, in initializers and in attributes."""
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for attribute in _attributes(graph):
            yield from (tensor for tensor in (attribute.t, *attribute.tensors) if tensor.ByteSize())
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                if sparse.ByteSize():
                    yield from (sparse.values, sparse.indices)


def _check_size(tensor: Any, name: str) -> None:
    """Check a tensor's declared size against its stored bytes: an engine allocates the declared size."""
    declared = math.prod(tensor.dims)
    stored_bytes = tensor.ByteSize()
    # Packed dtypes have at most four elements in a byte; others take a varint of at least one byte.
    if declared < 0 or any(size < 0 for size in tensor.dims) or declared > 4 * stored_bytes:
        raise InputError(
            f"{name} is corrupt: the tensor '{tensor.name}' declares the shape {list(tensor.dims)}, "
            f"but the file holds {stored_bytes} bytes of it."
        )


def _check_shape(node: Any, constants: dict[str, Any], name: str) -> None:
    from onnx import numpy_helper

    sizes = [list(attribute.ints) for attribute in node.attribute if attribute.name == "shape"]
    for source in node.input:
        tensor = constants.get(source)
        if tensor is not None and not tensor.external_data and tensor.data_type == tensor.INT64:
            try:
                sizes.append(numpy_helper.to_array(tensor).ravel().tolist())
            except ValueError as error:
                raise InputError(f"{name} is corrupt: the tensor '{tensor.name}': {error}.") from error
    for size in sizes:
        if size and math.prod(size) > _MAX_ELEMENTS:
            raise InputError(
                f"{name}: {node.op_type} asks for a tensor of the shape {size[:8]}, more than {_MAX_ELEMENTS} elements."
            )
