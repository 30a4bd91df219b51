"""Existing ONNX files as sources: their own outputs are the reference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.formats.contents import MalformedFileError
from edgeml.core.formats.onnx_contents import onnx_contents
from edgeml.core.formats.onnx_integers import integer_inputs
from edgeml.core.formats.onnx_scan import scan_onnx
from edgeml.core.formats.stored_precision import has_sparse_weights, onnx_precision, unsupported_precision
from edgeml.core.recipe import Precision
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.core.source import Head, Probes, Reference, SourceInfo
from edgeml.core.system.files import read_bytes
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import DType, Signature, TensorSpec, plain_names
from edgeml.sources.audit_findings import refuse_untrusted
from edgeml.sources.file_description import batch_of, source_signature, whole_inputs
from edgeml.sources.heads import describe_outputs, head_of

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
_DECISIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_OPSET_OF_SOFTMAX = 13  # from which its axis is the last by default, and one axis alone
_MOVING = {"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_PASSING = {"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"}


@dataclass(frozen=True, slots=True)
class OnnxFileSource:
    """An ONNX file and its description.

    Attributes:
        info: Description of the model.
        model: The `onnx.ModelProto`, with plain names for its inputs and outputs, and functions inlined.
        signature: Tensors of the file, with their own dtypes and batch.
        precision: Precision that the file computes in.
    """

    info: SourceInfo
    model: Any
    signature: Signature
    precision: Precision

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """Return the outputs of the file in onnxruntime.

        Args:
            inputs: Arrays ``[samples, ...]`` by input name, in the dtypes of the signature.
        """
        with self._session() as session:
            return Reference(session.run(inputs))

    def run_batches(self, batches: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Return the outputs of the file for batches, each computed in one call; of a fixed batch, in several."""
        is_free = self.signature.inputs[0].shape[0] is None
        with self._session() as session:
            return [session.run_together(batch) if is_free else session.run(batch) for batch in batches]

    def _session(self) -> Session:
        # The session chooses its batches by the operators: some outputs depend on them.
        needs = Needs("onnxruntime", "unknown", tuple(sorted(onnx_contents(self.model).operators)))
        return find_engine("onnx")(self.model.SerializeToString(), self.signature, needs=needs)

    def compared_columns(self) -> dict[str, tuple[int, ...]]:
        """Return no columns: the file does not show them."""
        return {}

    def probes(self, inputs: dict[str, np.ndarray]) -> Probes:  # noqa: ARG002  # a file says nothing about its inputs
        """Return no rows: the file itself is packaged."""
        return Probes({}, Reference({}))


def open_source(path: Path, *, trust: bool = False) -> OnnxFileSource:
    """Audit and read an ``.onnx`` file.

    Args:
        path: The file.
        trust: Whether operators of other domains are accepted, and weights are read from files next to it.

    Raises:
        InputError: The file does not exist or is not a valid ONNX file.
        UnsupportedModelError: The audit found something, or the model is not supported.
    """
    import onnx
    from google.protobuf.message import DecodeError

    data = read_bytes(path)
    try:
        scan = scan_onnx(data)
        refuse_untrusted(path.name, (*scan.external, *scan.foreign), trust=trust)
        model = onnx.ModelProto.FromString(data)
        if not model.graph.node:
            raise InputError(f"{path.name} is not an ONNX file, or is corrupt: operators were not found in it.")
        return _describe(_load(model, path, trust=trust), path.name)
    except (MalformedFileError, DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not an ONNX file, or is corrupt: {error}.") from error


def _load(model: Any, path: Path, *, trust: bool) -> Any:
    """Return the checked model with external data loaded and functions inlined."""
    import onnx
    import onnx.external_data_helper
    import onnx.inliner

    try:
        if trust:
            onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # the checker and the loader raise several types
        raise InputError(
            f"{path.name} is corrupt: {(str(error).strip() or repr(error)).splitlines()[0][:300]}."
        ) from error


def _describe(model: Any, name: str) -> OnnxFileSource:
    digest = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    if has_sparse_weights(model):
        raise UnsupportedModelError(
            f"{name} has sparse weights, which are not supported.", fix="store them as dense tensors."
        )
    weights = {tensor.name for tensor in model.graph.initializer}
    # Files from before ONNX 1.5 list weights among the inputs.
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    _rename(model.graph)
    signature = Signature(
        tuple(_spec(value, name) for value in model.graph.input),
        tuple(_spec(value, name) for value in model.graph.output),
    )
    batch_of(signature, name)
    precision = onnx_precision(model)
    if precision is None:
        raise UnsupportedModelError(
            f"{name} stores weights as {unsupported_precision(model)}; supported are float32, float16, int8 and uint8.",
            fix="build from the original model.",
        )
    task, decision, by_output = describe_outputs(signature.outputs, list(_heads(model, signature)))
    info = SourceInfo(
        "onnx",
        f"onnx-{precision}",
        source_signature(signature),
        task,
        decision,
        f"sha256:{digest}",
        {package: installed_version(package) or "unknown" for package in ("onnx", "onnxruntime")},
        whole_inputs=whole_inputs(signature, integer_inputs(model.graph)),
        heads=by_output,
    )
    return OnnxFileSource(info, model, signature, precision)


def _rename(graph: Any) -> None:
    """Rename inputs and outputs to plain names, where they are defined and where they are read."""
    ends = [*graph.input, *graph.output]
    new = dict(zip([value.name for value in ends], plain_names(value.name for value in ends), strict=True))
    inner_names = {name for node in graph.node for name in (*node.input, *node.output)} - set(new)
    inner_names |= {tensor.name for tensor in graph.initializer}
    for inner in {name for name in new.values() if name in inner_names}:  # the new name of an input or output is in use
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
        type_name = value.type.WhichOneof("value")
        if type_name == "tensor_type":
            type_name = _kind(kind.elem_type).lower()
        raise UnsupportedModelError(
            f"{name}: '{value.name}' is of {type_name}, expected a tensor of numbers of at most 32 bits, or int64.",
            fix="of a classifier, keep only the outputs that are numbers, for instance with zipmap=False.",
        )
    if not kind.HasField("shape"):
        raise UnsupportedModelError(
            f"{name}: '{value.name}' does not have a shape.", fix="run ONNX's shape inference on it."
        )
    shape = tuple(size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim)
    return TensorSpec(value.name, shape, dtype)


def _heads(model: Any, signature: Signature) -> Iterator[Head]:
    """Yield task and decision of each output, as the operator that computes it shows."""
    producers = {name: node for node in model.graph.node for name in node.output}
    opset = next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)
    for spec, value in zip(signature.outputs, model.graph.output, strict=True):
        node, is_moved = producers.get(value.name), False
        for _ in model.graph.node:
            if node is None or node.op_type not in _PASSING | _MOVING:
                break
            is_moved |= node.op_type in _MOVING
            node = producers.get(node.input[0])
        if is_moved and (node is None or node.op_type != "Sigmoid"):  # which has no axis
            yield Head()
            continue
        default = -1 if opset >= _OPSET_OF_SOFTMAX else 1
        axis = next((each.i for each in node.attribute if each.name == "axis"), default) if node is not None else -1
        yield head_of(_DECISIONS.get(node.op_type, "") if node is not None else "", spec.shape, axis)
