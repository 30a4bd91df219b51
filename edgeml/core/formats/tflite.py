"""The contents of a TFLite file: tensors, operators, precision, and the runtime that the file needs."""

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
_CONVERTING = {*_EDGES, "CAST", "DENSIFY"}  # operators that compute nothing
_STATE = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}
_MOVING = {"EXPAND_DIMS", "RESHAPE", "SQUEEZE", "TRANSPOSE"}
_DECISIONS: dict[str, Literal["softmax", "sigmoid"]] = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}


def inspect_tflite(data: bytes, source: Signature) -> tuple[Signature, Needs, frozenset[str]]:
    """Return the signature and needs of a TFLite file, and the dtypes of all its tensors.

    Args:
        data: The file, with one signature definition.
        source: Signature of the source, which defines order and meaning of the tensors, and the encoding of inputs.

    Raises:
        ConversionError: The file lacks an input or output of the source.
    """
    file = read_tflite(data)

    def match(
        specs: tuple[TensorSpec, ...], source_specs: tuple[TensorSpec, ...], cause: str
    ) -> tuple[TensorSpec, ...]:
        by_name = {spec.name: spec for spec in specs}
        missing = [spec.name for spec in source_specs if spec.name not in by_name]
        if missing:
            raise ConversionError(f"The TFLite converter removed {', '.join(missing)}: {cause}.")
        return tuple(
            msgspec.structs.replace(by_name[spec.name], meaning=spec.meaning, encoding=spec.encoding, part=spec.part)
            for spec in source_specs
        )

    signature = Signature(
        match(file.signature.inputs, source.inputs, "no output depends on these inputs"),
        match(file.signature.outputs, source.outputs, "these outputs do not depend on any input"),
    )
    return signature, file.needs, file.stored


def read_tflite(data: bytes) -> TfliteFile:
    """Read a TFLite file; on a corrupt file the parser raises exceptions of any type."""
    schema = _schema()
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph = model.subgraphs[0]
    dtypes = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
    builtin = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    # Codes above 127 are in the newer field only, others in both.
    operators = [
        code.customCode.decode() if code.customCode else builtin[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    ends = _ends(model, graph)
    names = [name for name, _ in ends]
    specs = tuple(_spec(name, graph.tensors[i], dtypes) for name, (_, i) in zip(plain_names(names), ends, strict=True))
    count = len(graph.inputs)
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
        tuple(_final_operator(graph, operators, index) for _, index in ends[count:]),
        len(model.signatureDefs or ()),
        tuple(_dynamic_axes(graph.tensors[i]) for _, i in ends),
        _states(model, operators),
        tuple(i for _, i in ends),
    )


def _dynamic_axes(tensor: Any) -> tuple[int, ...]:
    """Return the axes of a tensor whose size is dynamic."""
    sizes = tensor.shapeSignature
    return () if sizes is None else tuple(axis for axis, size in enumerate(sizes) if size < 0)


def _states(model: Any, operators: list[str]) -> tuple[str, ...]:
    """Return the names of the variables that a model keeps between calls."""
    names: dict[str, None] = {}
    for graph in model.subgraphs:
        for operator in graph.operators or ():
            if operators[operator.opcodeIndex] == "VAR_HANDLE":
                name = getattr(operator.builtinOptions, "sharedName", None) or b"variable"
                names[name.decode("utf-8", errors="replace")] = None
    return tuple(names)


def _schema() -> Any:
    try:  # the engine's own copy, which loads faster than TensorFlow
        from ai_edge_litert import schema_py_generated
    except ModuleNotFoundError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated


def _ends(model: Any, graph: Any) -> list[tuple[str, int]]:
    """Return name and tensor index of each input, then of each output; from the signature if its names are plain."""
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
    """Return the precision by the dtypes of activations and, in a float model, of weights; None for other mixes.

    Integers without a scale, such as positions and the bytes of an image, are not activations.
    """
    computed: set[str] = set()
    stored: set[str] = set()
    for graph in model.subgraphs:
        constant = [
            model.buffers[tensor.buffer].data is not None and len(model.buffers[tensor.buffer].data) > 0
            for tensor in graph.tensors
        ]
        for operator in graph.operators or ():
            tensors = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
            stored |= {dtypes[graph.tensors[i].type] for i in tensors if constant[i]}
            if operators[operator.opcodeIndex] not in _CONVERTING | _STATE:
                computed |= {_activation(graph.tensors[i], dtypes) for i in tensors if not constant[i]}
    computed -= {"", "int32", "int64"}  # sums of products have a scale as well
    if computed == {"float32"}:
        if stored & _WEIGHTS:
            return "dynamic"
        return "fp16" if "float16" in stored else "fp32"
    precisions = {_INTEGERS.get(kind) for kind in computed}
    return precisions.pop() if len(precisions) == 1 else None  # type: ignore[return-value]  # names of precisions


def _activation(tensor: Any, dtypes: dict[int, str]) -> str:
    """Return the dtype of a float or quantized tensor; empty for other integers and bools."""
    dtype, quantization = dtypes[tensor.type], tensor.quantization
    is_quantized = quantization is not None and quantization.scale is not None and len(quantization.scale) > 0
    return dtype if is_quantized or "float" in dtype else ""


def _final_operator(graph: Any, operators: list[str], tensor: int) -> Literal["softmax", "sigmoid"] | None:
    """Return the kind of the operator that computes an output, where classifiers end with that kind."""
    is_moved = False
    for operator in reversed(graph.operators or ()):
        if tensor in operator.outputs:
            kind = operators[operator.opcodeIndex]
            if kind not in _EDGES | _MOVING:
                return None if is_moved and kind != "LOGISTIC" else _DECISIONS.get(kind)  # a sigmoid has no axis
            is_moved |= kind in _MOVING
            tensor = operator.inputs[0]
    return None


class TfliteFile(Struct, frozen=True):
    """The parsed contents of a TFLite file.

    Attributes:
        signature: Input and output tensors, by plain names from the file's signature or else from the tensors.
        needs: Operators and runtime version that the file needs.
        stored: The dtypes of all tensors.
        precision: Precision that the file computes in; None where it is not that of a recipe.
        final_operators: Operator that computes each output, where classifiers end with such an operator; else None.
        signatures: Number of signatures.
        dynamic: Axes of each input, then of each output, whose size is dynamic.
        states: Variables that the model keeps between calls.
        tensors: Numbers of the inputs, then of the outputs, in the first graph.
    """

    signature: Signature
    needs: Needs
    stored: frozenset[str]
    precision: Precision | None
    final_operators: tuple[Literal["softmax", "sigmoid"] | None, ...]
    signatures: int
    dynamic: tuple[tuple[int, ...], ...]
    states: tuple[str, ...] = ()
    tensors: tuple[int, ...] = ()

    @property
    def free_sizes(self) -> tuple[str, ...]:
        """Dynamic sizes of inputs other than the batch, each as ``INPUT.AXIS``."""
        pairs = zip(self.signature.inputs, self.dynamic, strict=False)
        return tuple(f"{spec.name}.{axis}" for spec, axes in pairs for axis in axes if axis)

    @property
    def free_outputs(self) -> bool:
        """True if an output has a dynamic size other than the batch."""
        return any(any(axes) for axes in self.dynamic[len(self.signature.inputs) :])

    @property
    def free_batch(self) -> bool:
        """True if the first size of an input is dynamic."""
        return any(0 in axes for axes in self.dynamic[: len(self.signature.inputs)])
