"""What a TFLite file says of itself: its tensors, its operators, its precision, the runtime that it needs."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from edgeml.core.artifact import Needs
from edgeml.core.errors import ConversionError
from edgeml.core.recipe import Precision
from edgeml.core.tensors import Quantization, Signature, TensorSpec, plain_names

__all__ = ["TfliteFile", "inspect_tflite", "read_tflite"]

_INTEGERS = {"int8": "int8", "uint8": "int8", "int16": "int16x8"}
_WEIGHTS = {"int4", "int8", "uint8"}
_EDGES = {"QUANTIZE", "DEQUANTIZE"}
_DECISIONS: dict[str, Literal["softmax", "sigmoid"]] = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}


def inspect_tflite(data: bytes, source: Signature) -> tuple[Signature, Needs, frozenset[str]]:
    """The signature and needs of a TFLite file, and the dtypes of all its tensors.

    Args:
        data: The file, with one signature definition.
        source: Gives the order of the tensors, what they mean, and how inputs are encoded.
    """
    file = read_tflite(data)

    def specs(found: tuple[TensorSpec, ...], wanted: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        by_name = {spec.name: spec for spec in found}
        missing = [spec.name for spec in wanted if spec.name not in by_name]
        if missing:
            raise ConversionError(f"The converter dropped the tensors {missing}: they do not depend on each other.")
        return tuple(
            msgspec.structs.replace(by_name[spec.name], meaning=spec.meaning, encoding=spec.encoding) for spec in wanted
        )

    found = file.signature
    signature = Signature(specs(found.inputs, source.inputs), specs(found.outputs, source.outputs))
    return signature, file.needs, file.stored


def read_tflite(data: bytes) -> TfliteFile:
    """Reads a file that was made by a sound tool. For others it raises whatever the parser meets."""
    schema = _schema()
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph = model.subgraphs[0]
    dtypes = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
    builtin = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    # A code beyond 127 stands only in the newer field, an older one in both.
    operators = [
        code.customCode.decode() if code.customCode else builtin[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    ends = _ends(model, graph)
    names = [name for name, _ in ends]
    specs = tuple(_spec(name, graph.tensors[i], dtypes) for name, (_, i) in zip(plain_names(names), ends, strict=True))
    count = len(graph.inputs)
    free = tuple(
        spec.name
        for spec, (_, i) in zip(specs, ends, strict=True)
        if graph.tensors[i].shapeSignature is not None and any(size < 0 for size in graph.tensors[i].shapeSignature[1:])
    )
    versions = [
        bytes(model.buffers[entry.buffer].data).rstrip(b"\0").decode()
        for entry in model.metadata or ()
        if entry.name == b"min_runtime_version"
    ]
    return TfliteFile(
        Signature(specs[:count], specs[count:]),
        Needs("tflite", versions[0] if versions else "unknown", tuple(sorted(set(operators)))),
        frozenset(dtypes[tensor.type] for part in model.subgraphs for tensor in part.tensors),
        _precision(model, operators, dtypes),
        _decides(graph, operators),
        tuple(sorted(code.customCode.decode() for code in model.operatorCodes if code.customCode)),
        len(model.signatureDefs or ()),
        free,
    )


def _schema() -> Any:
    try:  # the engine's, which any machine with LiteRT has; it loads faster than TensorFlow
        from ai_edge_litert import schema_py_generated
    except ModuleNotFoundError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated


def _ends(model: Any, graph: Any) -> list[tuple[str, int]]:
    """Name and number of each input, then of each output: of the signature where names there are plain."""
    if model.signatureDefs:
        definition = model.signatureDefs[0]
        ends = [(entry.name.decode(), entry.tensorIndex) for entry in (*definition.inputs, *definition.outputs)]
        names = [name for name, _ in ends]
        if plain_names(names) == names:
            return ends
    return [(graph.tensors[i].name.decode(), int(i)) for i in (*graph.inputs, *graph.outputs)]


def _spec(name: str, tensor: Any, dtypes: dict[int, Any]) -> TensorSpec:
    quantization = None
    if tensor.quantization is not None and tensor.quantization.scale is not None and len(tensor.quantization.scale):
        quantization = Quantization(float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))
    shape = tuple(int(size) for size in tensor.shape) if tensor.shape is not None else ()
    return TensorSpec(name, shape, dtypes[tensor.type], quantization)


def _precision(model: Any, operators: list[str], dtypes: dict[int, str]) -> Precision | None:
    """In what the operators compute, and in what the weights of a float model are stored."""
    computed: set[str] = set()
    stored: set[str] = set()
    for graph in model.subgraphs:
        constant = [
            model.buffers[tensor.buffer].data is not None and len(model.buffers[tensor.buffer].data) > 0
            for tensor in graph.tensors
        ]
        for operator in graph.operators or ():
            touched = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
            stored |= {dtypes[graph.tensors[i].type] for i in touched if constant[i]}
            if operators[operator.opcodeIndex] not in _EDGES:
                computed |= {dtypes[graph.tensors[i].type] for i in touched if not constant[i]}
    computed -= {"int32", "int64", "bool"}  # positions, sizes, masks
    if computed == {"float32"}:
        if stored & _WEIGHTS:
            return "dynamic"
        return "fp16" if "float16" in stored else "fp32"
    precisions = {_INTEGERS.get(kind) for kind in computed}
    return precisions.pop() if len(precisions) == 1 else None  # type: ignore[return-value]  # names of precisions


def _decides(graph: Any, operators: list[str]) -> Literal["softmax", "sigmoid"] | None:
    if len(graph.outputs) != 1:
        return None
    wanted = graph.outputs[0]
    for operator in reversed(graph.operators or ()):
        if wanted in operator.outputs:
            kind = operators[operator.opcodeIndex]
            if kind not in _EDGES:
                return _DECISIONS.get(kind)
            wanted = operator.inputs[0]
    return None


class TfliteFile(Struct, frozen=True):
    """A TFLite file, read.

    Attributes:
        signature: Its tensors by the names of its signature, or where it has none by their own, made plain.
        needs: What it needs of the engine.
        stored: The dtypes of all its tensors.
        precision: Of its computing; None where no recipe is of that kind.
        decides: The operator that gives its last output, where that is one that classifiers end in.
        custom: Operators that are not TFLite's own, sorted.
        signatures: How many it has.
        free: Names of inputs and outputs of which another size than the first is free.
    """

    signature: Signature
    needs: Needs
    stored: frozenset[str]
    precision: Precision | None
    decides: Literal["softmax", "sigmoid"] | None
    custom: tuple[str, ...]
    signatures: int
    free: tuple[str, ...]
