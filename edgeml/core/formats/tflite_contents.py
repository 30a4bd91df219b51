"""Contents of TFLite files."""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgeml.core.formats.contents import FileContents, TensorContents
from edgeml.core.tensors import Quantization

__all__ = ["tflite_contents"]

_MOST_TEXT = 200
_VERSION_ENTRY = "min_runtime_version"


def tflite_contents(data: bytes) -> FileContents:
    """Read the tensors, operators and metadata of a TFLite file.

    Args:
        data: The file.

    Raises:
        Exception: Any that the schema's parser raises for a damaged file.
    """
    schema = _schema()
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph = model.subgraphs[0]
    dtypes = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
    builtin = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    # A code above 127 is in the newer field alone, a smaller one in both.
    kinds = [_operator(code, builtin) for code in model.operatorCodes or ()]
    counts = Counter(kinds[op.opcodeIndex] for part in model.subgraphs for op in part.operators or ())
    weights: Counter[str] = Counter()
    for part in model.subgraphs:
        for tensor in part.tensors:
            held = model.buffers[tensor.buffer].data
            if held is not None and len(held):
                weights[dtypes.get(tensor.type, f"type {tensor.type}")] += len(held)
    names = _signature_names(model)
    metadata, versions = _metadata(model), {"TFLite schema": str(model.version)}
    if _VERSION_ENTRY in metadata:
        versions["least runtime"] = metadata.pop(_VERSION_ENTRY)
    keys = [_text(item.signatureKey) or "unnamed" for item in model.signatureDefs or ()]
    if keys:
        metadata["signatures"] = ", ".join(keys)
    if len(model.subgraphs) > 1:
        metadata["subgraphs"] = str(len(model.subgraphs))
    return FileContents(
        tuple(_tensor(graph.tensors[i], names.get(i), dtypes) for i in map(int, graph.inputs)),
        tuple(_tensor(graph.tensors[i], names.get(i), dtypes) for i in map(int, graph.outputs)),
        dict(counts.most_common()),
        dict(weights.most_common()),
        versions,
        metadata,
    )


def _schema() -> Any:
    try:  # LiteRT's, which loads faster than TensorFlow
        from ai_edge_litert import schema_py_generated
    except ModuleNotFoundError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated


def _operator(code: Any, builtin: dict[int, str]) -> str:
    if code.customCode:
        return f"{_text(code.customCode)} (custom)"
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return builtin.get(number, f"builtin {number}")


def _signature_names(model: Any) -> dict[int, str]:
    """Return the names of the first signature by number of the tensor."""
    if not model.signatureDefs:
        return {}
    definition = model.signatureDefs[0]
    return {int(item.tensorIndex): _text(item.name) for item in (*definition.inputs, *definition.outputs)}


def _tensor(tensor: Any, name: str | None, dtypes: dict[int, str]) -> TensorContents:
    quantization, declared = None, tensor.quantization
    if declared is not None and declared.scale is not None and len(declared.scale) == 1:
        zero_point = 0 if declared.zeroPoint is None else int(declared.zeroPoint[0])
        quantization = Quantization(float(declared.scale[0]), zero_point)
    sizes = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    shape = tuple(None if size < 0 else int(size) for size in (sizes if sizes is not None else ()))
    dtype = dtypes.get(tensor.type, f"type {tensor.type}")
    return TensorContents(name or _text(tensor.name), shape, dtype, quantization)


def _metadata(model: Any) -> dict[str, str]:
    metadata = {}
    if model.description:
        metadata["description"] = _text(model.description)[:_MOST_TEXT]
    for entry in model.metadata or ():
        held = model.buffers[entry.buffer].data
        content = b"" if held is None else bytes(held)
        text = content.rstrip(b"\0").decode("utf-8", errors="replace")
        shown = text if text.isprintable() and len(text) <= _MOST_TEXT else f"{len(content)} bytes"
        metadata[_text(entry.name) or "unnamed"] = shown
    return metadata


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", errors="replace")
