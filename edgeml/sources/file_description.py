"""Shared description of .tflite and .onnx files."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import msgspec

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.tensors import LARGE_INTEGERS, Signature, TensorSpec, holds_integers

__all__ = ["batch_of", "check_sizes", "free_sizes_error", "mark_unbatched", "source_signature", "whole_inputs"]

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
        if any(size is None for size in spec.shape[1:]) and not signature.free_sizes:
            raise UnsupportedModelError(
                f"{name}: tensor '{spec.name}' has the shape {list(spec.shape)}: only the batch may be dynamic.",
                fix="export the file again with the other sizes fixed.",
            )
        count = math.prod(1 if size is None else size for size in spec.shape)
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


def check_sizes(sizes: Iterable[str], free: Collection[str], name: str) -> None:
    """Check that the sizes that a caller fixes are free.

    Raises:
        InputError: A size is not free.
    """
    for size in sizes:
        if size not in free:
            known = f"its free sizes are {', '.join(free)}" if free else "all its sizes are fixed"
            raise InputError(f"sizes: {name} does not have a free size '{size}'; {known}.")


def free_sizes_error(name: str, sizes: Sequence[str], details: str = "") -> UnsupportedModelError:
    """Return the error for sizes of a file that must be fixed.

    Args:
        name: Name of the file.
        sizes: Names of the sizes.
        details: A sentence that ends the message.
    """
    return UnsupportedModelError(
        f"{name} has free sizes: {', '.join(sizes)}; only the batch may be free without numbers."
        f"{details and f' {details}'}",
        fix="fix them in a build: " + " ".join(f"--size {size}=N" for size in sizes) + " (sizes= in Python); or keep "
        f"them free, and prove the artifacts at several: --size {sizes[0]}=N,M.",
    )


def mark_unbatched(spec: TensorSpec, *, always: bool = False) -> TensorSpec:
    """Return a spec with the axis of the batch, which is not free.

    Args:
        spec: A tensor of a file.
        always: Whether the file's tensor does not have the axis even if its first size is 1.
    """
    if spec.unbatched or (spec.shape[:1] == (1,) and not always):
        return spec
    return msgspec.structs.replace(spec, shape=(1, *spec.shape), unbatched=True)


def source_signature(signature: Signature) -> Signature:
    """Return the signature of a source, with a dynamic batch: float32, and what float32 cannot represent as it is.

    Inputs of few bits are float32 too, which represents them exactly.
    """

    def source_spec(spec: TensorSpec, *, keeps: bool) -> TensorSpec:
        dtype = spec.dtype if keeps else "float32"
        return TensorSpec(spec.name, (None, *spec.shape[1:]), dtype, sizes=spec.sizes)

    own = {*LARGE_INTEGERS, "float64", "string"}
    return Signature(
        tuple(source_spec(spec, keeps=spec.quantization is None and spec.dtype in own) for spec in signature.inputs),
        tuple(source_spec(spec, keeps=holds_integers(spec)) for spec in signature.outputs),
    )


def whole_inputs(signature: Signature, cast: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of the inputs of integers without quantization, such as ids.

    Args:
        signature: Tensors of the file.
        cast: Names of float inputs that the model casts to integers.
    """
    return tuple(spec.name for spec in signature.inputs if holds_integers(spec) or spec.name in cast)
