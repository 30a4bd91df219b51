"""What a TFLite file says of itself: its tensors, its operators, the runtime that it needs."""

from __future__ import annotations

from typing import Any

from edgeml.core.artifact import Needs
from edgeml.core.errors import ConversionError
from edgeml.core.tensors import Quantization, Signature, TensorSpec

__all__ = ["inspect_tflite"]


def inspect_tflite(data: bytes, source: Signature) -> tuple[Signature, Needs, frozenset[str]]:
    """The signature and needs of a TFLite file, and the dtypes of all its tensors.

    Args:
        data: The file, with one signature definition.
        source: Gives the order of the tensors and what they mean.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    (definition,) = model.signatureDefs
    tensors = model.subgraphs[definition.subgraphIndex].tensors

    def specs(maps: Any, wanted: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        index = {entry.name.decode(): entry.tensorIndex for entry in maps or ()}
        missing = [spec.name for spec in wanted if spec.name not in index]
        if missing:
            raise ConversionError(f"The converter dropped the tensors {missing}: they do not depend on each other.")
        return tuple(_spec(spec, tensors[index[spec.name]], dtypes) for spec in wanted)

    dtypes = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    # A code beyond 127 stands only in the newer field, an older one in both.
    operators = sorted(
        {
            code.customCode.decode() if code.customCode else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            for code in model.operatorCodes
        }
    )
    versions = [
        bytes(model.buffers[entry.buffer].data).rstrip(b"\0").decode()
        for entry in model.metadata or ()
        if entry.name == b"min_runtime_version"
    ]
    signature = Signature(specs(definition.inputs, source.inputs), specs(definition.outputs, source.outputs))
    stored = frozenset(dtypes[tensor.type] for graph in model.subgraphs for tensor in graph.tensors)
    return signature, Needs("tflite", versions[0] if versions else "unknown", tuple(operators)), stored


def _spec(named: TensorSpec, tensor: Any, dtypes: dict[int, Any]) -> TensorSpec:
    quantization = None
    if tensor.quantization is not None and tensor.quantization.scale is not None and len(tensor.quantization.scale):
        quantization = Quantization(float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))
    shape = tuple(int(size) for size in tensor.shape) if tensor.shape is not None else ()
    return TensorSpec(
        named.name,
        shape,
        dtypes[tensor.type],
        quantization,
        named.meaning,
    )
