"""By what existing model files are described alike, whatever their format."""

from __future__ import annotations

import math
from typing import Literal

from edgeml.core.decisions import Decision
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.tensors import Meaning, Signature, TensorSpec

__all__ = ["batch_of", "decision_of_file", "float_signature", "whole_inputs"]

# What one sample's tensor may hold: 256 drawn samples of it still fit into memory.
_MOST_ELEMENTS = 2**24


def batch_of(signature: Signature, name: str) -> int | None:
    """The batch that all tensors of a file share: their first size, or None where it is free.

    Raises:
        UnsupportedModelError: They have none, or do not share it; or another size is free, or beyond all measure.
    """
    specs = (*signature.inputs, *signature.outputs)
    if not signature.inputs or not signature.outputs:
        raise UnsupportedModelError(f"{name} has no inputs, or no outputs.")
    for spec in specs:
        if any(size is None for size in spec.shape[1:]):
            raise UnsupportedModelError(
                f"{name}: tensor '{spec.name}' has the shape {list(spec.shape)}: only the batch may be free.",
                fix="make the file again with the other sizes fixed.",
            )
        count = math.prod(size or 1 for size in spec.shape)
        if not 0 < count <= _MOST_ELEMENTS:
            raise UnsupportedModelError(
                f"{name}: tensor '{spec.name}' has the shape {list(spec.shape)}: {count} elements, "
                f"expected 1 to {_MOST_ELEMENTS}."
            )
    batches = {spec.shape[0] if spec.shape else 0 for spec in specs}
    if len(batches) > 1 or 0 in batches:
        raise UnsupportedModelError(
            f"{name}: the tensors do not share a batch as their first size: "
            f"{', '.join(f'{spec.name} {list(spec.shape)}' for spec in specs)}.",
            fix="make the file again with the batch in front of every input and output.",
        )
    return batches.pop()


def float_signature(signature: Signature, *, scores: bool) -> Signature:
    """The signature as a source has it: float32, the batch free."""

    def plain(spec: TensorSpec, meaning: Meaning) -> TensorSpec:
        return TensorSpec(spec.name, (None, *spec.shape[1:]), "float32", meaning=meaning)

    return Signature(
        tuple(plain(spec, "values") for spec in signature.inputs),
        tuple(plain(spec, "scores" if scores else "values") for spec in signature.outputs),
    )


def decision_of_file(last: Literal["softmax", "sigmoid"] | None, signature: Signature) -> Decision | None:
    """How the model classifies, where it ends in a softmax or a single sigmoid; else the file does not tell."""
    if len(signature.outputs) != 1 or len(signature.outputs[0].shape) != 2:
        return None
    units = signature.outputs[0].shape[1] or 0
    if last == "softmax" and units > 1:
        return Decision(tuple(range(units)), probabilities=True)
    if last == "sigmoid" and units == 1:
        return Decision((0, 1), threshold=0.5, probabilities=True)
    return None


def whole_inputs(signature: Signature) -> tuple[str, ...]:
    """Names of the inputs that take integers which stand for themselves."""
    return tuple(
        spec.name for spec in signature.inputs if spec.quantization is None and not spec.dtype.startswith("float")
    )
