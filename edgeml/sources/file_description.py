"""Shared description of .tflite and .onnx files."""

from __future__ import annotations

import math

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["batch_of", "float_signature", "whole_inputs"]

# Of the tensor of one sample, so that 256 random samples fit into memory.
_MAX_ELEMENTS = 2**24


def batch_of(signature: Signature, name: str) -> int | None:
    """Return the batch that all tensors of a file share, their first size; None where it is dynamic.

    Raises:
        UnsupportedModelError: The tensors do not share a batch, another size is dynamic, or a tensor is too large.
    """
    specs = (*signature.inputs, *signature.outputs)
    if not signature.inputs or not signature.outputs:
        raise UnsupportedModelError(f"{name} does not have both inputs and outputs.")
    for spec in specs:
        if any(size is None for size in spec.shape[1:]):
            raise UnsupportedModelError(
                f"{name}: tensor '{spec.name}' has the shape {list(spec.shape)}: only the batch may be dynamic.",
                fix="export the file again with the other sizes fixed.",
            )
        count = math.prod(size or 1 for size in spec.shape)
        if not 0 < count <= _MAX_ELEMENTS:
            raise UnsupportedModelError(
                f"{name}: tensor '{spec.name}' has the shape {list(spec.shape)}: {count} elements, "
                f"expected 1 to {_MAX_ELEMENTS}."
            )
    batches = {spec.shape[0] if spec.shape else 0 for spec in specs}
    if len(batches) > 1 or 0 in batches:
        raise UnsupportedModelError(
            f"{name}: the tensors do not share a batch as their first size: "
            f"{', '.join(f'{spec.name} {list(spec.shape)}' for spec in specs)}.",
            fix="export the file again with the batch as the first dimension of every input and output.",
        )
    return batches.pop()


def float_signature(signature: Signature) -> Signature:
    """Return the signature of a source: float32, with a dynamic batch."""

    def float_spec(spec: TensorSpec) -> TensorSpec:
        return TensorSpec(spec.name, (None, *spec.shape[1:]), "float32")

    return Signature(tuple(map(float_spec, signature.inputs)), tuple(map(float_spec, signature.outputs)))


def whole_inputs(signature: Signature) -> tuple[str, ...]:
    """Return the names of the inputs of integers without quantization, such as ids."""
    return tuple(
        spec.name for spec in signature.inputs if spec.quantization is None and not spec.dtype.startswith("float")
    )
