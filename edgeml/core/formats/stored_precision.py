"""The precision of an ONNX model, by the weights that it stores and the operators that compute with them."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from edgeml.core.formats.onnx_contents import graphs, stored_tensors
from edgeml.core.recipe import Precision

__all__ = ["has_sparse_weights", "onnx_precision", "unsupported_precision"]

_MIN_SHARE = 0.1  # of all weights; a smaller part is constants of formulas, or of layers that were left out
_FLOATS = {"FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16"}
_BYTES = {"INT8", "UINT8"}
_SMALL = {
    "INT16",
    "UINT16",
    "INT4",
    "UINT4",
    "INT2",
    "UINT2",
    "FLOAT4E2M1",
}  # of any size
_FLOAT8 = {"FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0"}
_UNSUPPORTED = _SMALL | _FLOAT8 | {"BFLOAT16"}
_FOUR_BITS = {"GatherBlockQuantized", "MatMulBnb4", "MatMulFpQ4", "MatMulNBits", "QMoE"}
_DYNAMIC = {
    "ConvInteger",
    "DynamicQuantizeLSTM",
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
}
_QUANTIZED = ("QLinear", "QOrdered", "QuantizeLinear")  # beginnings of names
_QUANTIZED_LAYERS = {"QAttention", "QEmbedLayerNormalization", "QGemm"}


def onnx_precision(model: Any) -> Precision | None:
    """Return the precision of an `onnx.ModelProto` without local functions; None where it is not that of a recipe.

    The weights are the initializers and constants of all graphs, those of loops and branches too. 8-bit weights that
    become floats before they are used are of the precision ``dynamic``. Models of float64 are of ``fp32``,
    which promises no less than float32.
    """
    kinds = {node.op_type for part in graphs(model.graph) for node in part.node}
    weights = _weights(model)
    if weights & _UNSUPPORTED or kinds & _FOUR_BITS or "BFLOAT16" in (computed := _computed(model)):
        return None
    if kinds & _DYNAMIC:
        return "dynamic"
    if kinds & _QUANTIZED_LAYERS or any(kind.startswith(_QUANTIZED) for kind in kinds):
        return "int8"
    if "DequantizeLinear" in kinds or weights & _BYTES:
        return "dynamic"
    return "fp16" if "FLOAT16" in weights | computed else "fp32"


def unsupported_precision(model: Any) -> str:
    """Return the dtypes for which a model does not have the precision of a recipe."""
    kinds = (_weights(model) | _computed(model)) & _UNSUPPORTED
    return ", ".join(sorted(kind.lower() for kind in kinds)) or "4-bit integers"


def has_sparse_weights(model: Any) -> bool:
    """Return whether a graph holds sparse tensors."""
    return any(
        part.sparse_initializer
        or any(item.HasField("sparse_tensor") or item.sparse_tensors for node in part.node for item in node.attribute)
        for part in graphs(model.graph)
    )


def _weights(model: Any) -> set[str]:
    """Return the dtypes that weights are stored in: each with a considerable share, or small by its kind."""
    elements: Counter[str] = Counter()
    for part in graphs(model.graph):
        for tensor in stored_tensors(part):
            elements[_kind(tensor.data_type)] += math.prod(tensor.dims)
    weights = {kind: count for kind, count in elements.items() if kind in _FLOATS | _BYTES | _SMALL | _FLOAT8}
    total = sum(weights.values())
    return {kind for kind, count in weights.items() if kind in _SMALL or count >= _MIN_SHARE * total}


def _computed(model: Any) -> set[str]:
    """Return the dtypes that tensors are cast to for operators, not only for an output."""
    kinds = set()
    for part in graphs(model.graph):
        read = {name for node in part.node if node.op_type != "Cast" for name in node.input}
        for node in part.node:
            if node.op_type == "Cast" and node.output[0] in read:
                kinds |= {_kind(item.i) for item in node.attribute if item.name == "to"}
    return kinds & {"FLOAT16", "BFLOAT16"}


def _kind(code: int) -> str:
    import onnx

    names: dict[int, str] = {number: name for name, number in onnx.TensorProto.DataType.items()}
    return names.get(code, f"type {code}")
