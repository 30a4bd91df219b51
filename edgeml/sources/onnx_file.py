"""Existing ONNX files: their reference is what they give themselves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.recipe import Precision
from edgeml.core.registry.engines import find_engine
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.system.files import read_bytes
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import DType, Signature, TensorSpec, plain_names
from edgeml.sources.audit_onnx import audit_onnx
from edgeml.sources.file_description import batch_of, decision_of_file, float_signature, whole_inputs

__all__ = ["SUFFIX", "OnnxFileSource", "open_source"]

SUFFIX = ".onnx"
_DTYPES: dict[str, DType] = {
    "FLOAT": "float32",
    "FLOAT16": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
_DECISIONS: dict[str, Literal["softmax", "sigmoid"]] = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_PASSING = {"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"}
_DYNAMIC = {"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger"}


@dataclass(frozen=True, slots=True)
class OnnxFileSource:
    """An ONNX file and its description.

    Attributes:
        model: The `onnx.ModelProto`, with plain names for its inputs and outputs, and no functions.
        signature: Its tensors, with its own dtypes and batch.
        precision: Of its computing.
    """

    info: SourceInfo
    model: Any
    signature: Signature
    precision: Precision

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """What onnxruntime gives for the file.

        Args:
            inputs: float32 arrays ``[samples, ...]`` by input name.
        """
        opener = find_engine("onnx")
        # The operators tell how the session is to batch: some answers depend on it.
        operators = tuple(sorted({node.op_type for node in self.model.graph.node}))
        needs = Needs("onnxruntime", "unknown", operators)
        session = opener(self.model.SerializeToString(), self.signature, needs=needs)
        return Reference(session.run(inputs))


def open_source(path: Path, *, trust: bool = False) -> OnnxFileSource:
    """Reads an ``.onnx`` file, after it was found to reach for nothing outside.

    Args:
        path: The file.
        trust: Whether operators of foreign domains are let through, and weights are read from files beside it.

    Raises:
        InputError: It is no sound ONNX file.
        UnsupportedModelError: The audit found something, or it is a model that edgeml does not carry.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(read_bytes(path))
    except DecodeError as error:
        raise InputError(f"{path.name} is no ONNX file: it cannot be parsed ({error}).") from error
    if not model.graph.node:
        raise InputError(f"{path.name} is no ONNX file, or a damaged one: it has no operators.")
    try:
        audit_onnx(model, path.name, trust=trust)
        return _described(_loaded(model, path, trust=trust), path.name)
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is damaged: a name in it is no text ({error}).") from error


def _loaded(model: Any, path: Path, *, trust: bool) -> Any:
    """The checked model, with its data in it and its functions written out."""
    import onnx
    import onnx.external_data_helper
    import onnx.inliner

    try:
        if trust:
            onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # the checker and the loader raise several kinds
        raise InputError(
            f"{path.name} is damaged: {(str(error).strip() or repr(error)).splitlines()[0][:300]}."
        ) from error


def _described(model: Any, name: str) -> OnnxFileSource:
    digest = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    if model.graph.sparse_initializer:
        raise UnsupportedModelError(f"{name} has sparse weights.", fix="make them dense.")
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]  # files of before ONNX 1.5 list them
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    _rename(model.graph)
    signature = Signature(
        tuple(_spec(value, name) for value in model.graph.input),
        tuple(_spec(value, name) for value in model.graph.output),
    )
    batch_of(signature, name)
    precision = _precision(model.graph)
    if precision is None:
        raise UnsupportedModelError(
            f"{name} computes or keeps weights in a precision that is no recipe's.",
            fix="build from the model that it was made from.",
        )
    decision = decision_of_file(_last(model.graph), signature)
    info = SourceInfo(
        "onnx",
        f"onnx-{precision}",
        float_signature(signature, scores=decision is not None),
        "classification" if decision else None,
        decision,
        f"sha256:{digest}",
        {package: installed_version(package) or "unknown" for package in ("onnx", "onnxruntime")},
        whole_inputs=whole_inputs(signature),
    )
    return OnnxFileSource(info, model, signature, precision)


def _rename(graph: Any) -> None:
    """Gives inputs and outputs plain names, here and wherever they are read."""
    ends = [*graph.input, *graph.output]
    new = dict(zip([value.name for value in ends], plain_names(value.name for value in ends), strict=True))
    taken = {name for node in graph.node for name in (*node.input, *node.output)} - set(new)
    taken |= {tensor.name for tensor in graph.initializer}
    for inner in {name for name in new.values() if name in taken}:  # a tensor inside has the name that an end gets
        new[inner] = f"{inner}__inner"
    for value in ends:
        value.name = new[value.name]
    _rename_within(graph, new)


def _rename_within(graph: Any, new: dict[str, str]) -> None:
    for tensor in graph.initializer:
        tensor.name = new.get(tensor.name, tensor.name)
    for value in graph.value_info:
        value.name = new.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.output:
                    own = {value.name for value in inner.input}
                    visible = {old: name for old, name in new.items() if old not in own}
                    _rename_within(inner, visible)
                    for value in inner.output:
                        value.name = visible.get(value.name, value.name)


def _kind(code: int) -> str:
    import onnx

    names: dict[int, str] = {number: name for name, number in onnx.TensorProto.DataType.items()}
    return names.get(code, f"type {code}")


def _spec(value: Any, name: str) -> TensorSpec:
    kind = value.type.tensor_type
    dtype = _DTYPES.get(_kind(kind.elem_type))
    if not value.type.HasField("tensor_type") or dtype is None:
        found = value.type.WhichOneof("value")
        if found == "tensor_type":
            found = _kind(kind.elem_type).lower()
        raise UnsupportedModelError(
            f"{name}: '{value.name}' is of {found}, expected a tensor of numbers of at most 32 bits, or int64.",
            fix="of a classifier leave the outputs of numbers alone, for instance by zipmap=False.",
        )
    if not kind.HasField("shape"):
        raise UnsupportedModelError(f"{name}: '{value.name}' has no shape.", fix="run ONNX's shape inference on it.")
    shape = tuple(size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim)
    return TensorSpec(value.name, shape, dtype)


def _precision(graph: Any) -> Precision | None:
    kinds = {node.op_type for node in graph.node}
    stored = {_kind(tensor.data_type) for tensor in graph.initializer}
    if stored & {"DOUBLE", "BFLOAT16", "UINT16", "INT16", "INT4", "UINT4"} or "MatMulNBits" in kinds:
        return None
    if kinds & _DYNAMIC:
        return "dynamic"
    if any(kind == "QuantizeLinear" or kind.startswith("QLinear") for kind in kinds):
        return "int8"
    if "DequantizeLinear" in kinds:
        return "dynamic"  # weights of 8 bit, activations in floats
    return "fp16" if "FLOAT16" in stored else "fp32"


def _last(graph: Any) -> Literal["softmax", "sigmoid"] | None:
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(graph.output[0].name) if len(graph.output) == 1 else None
    for _ in graph.node:
        if node is None or node.op_type not in _PASSING:
            break
        node = makers.get(node.input[0])
    return _DECISIONS.get(node.op_type) if node is not None else None
