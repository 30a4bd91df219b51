"""Static check of an artifact, before an engine sees its bytes."""

from __future__ import annotations

from typing import Literal

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.formats.contents import FileScan, MalformedFileError, TensorContents
from edgeml.core.recipe import Format
from edgeml.core.system.text import join_clauses
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["check_artifact"]


def check_artifact(
    data: bytes, format_: Format, signature: Signature, *, name: str, trust_source: bool = False
) -> None:
    """Check that a model file is what its format defines, and what its record in the package says.

    Nothing of it is loaded or run, and nothing but the standard library is needed.

    Args:
        data: The model file.
        format_: Its format.
        signature: Inputs and outputs as the package declares them.
        name: Name of the artifact in messages.
        trust_source: Whether operators that engines do not bring are accepted.

    Raises:
        InputError: The file is malformed or keeps data in other files, or its tensors differ from the signature.
        UnsupportedModelError: The file has operators that engines do not bring.
    """
    try:
        scan = _scan(data, format_)
    except MalformedFileError as error:
        raise InputError(f"{name} is not a valid {format_} model: {error}.") from error
    if scan.external:
        raise InputError(f"{name} is not self-contained: {join_clauses(scan.external)}.")
    if scan.foreign and not trust_source:
        raise UnsupportedModelError(
            f"{name} is not run: {join_clauses(scan.foreign)}.", fix="use another artifact or package."
        )
    _compare("input", scan.inputs, signature.inputs, name)
    _compare("output", scan.outputs, signature.outputs, name)


def _scan(data: bytes, format_: Format) -> FileScan:
    if format_ == "tflite":
        from edgeml.core.formats.tflite_scan import scan_tflite

        return scan_tflite(data)
    from edgeml.core.formats.onnx_scan import scan_onnx

    return scan_onnx(data)


def _compare(
    kind: Literal["input", "output"], tensors: tuple[TensorContents, ...], specs: tuple[TensorSpec, ...], name: str
) -> None:
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) != len(tensors) or by_name.keys() != {spec.name for spec in specs}:
        declared = ", ".join(sorted(spec.name for spec in specs))
        raise InputError(
            f"{name} has the {kind}s {', '.join(sorted(tensor.name for tensor in tensors))}, but the package declares "
            f"{declared}."
        )
    for spec in specs:
        tensor = by_name[spec.name]
        if tensor.dtype != spec.dtype or not _fits(kind, tensor, spec.file_shape):
            raise InputError(
                f"{name}: the {kind} '{spec.name}' is {tensor.dtype} {_describe(tensor.shape)}, but the package "
                f"declares {spec.dtype} {_describe(spec.file_shape)}."
            )


def _fits(kind: Literal["input", "output"], tensor: TensorContents, declared: tuple[int | None, ...]) -> bool:
    """Compare shapes. Of an output a file may declare less than an engine infers, and the package holds."""
    if tensor.shape is None:
        return kind == "output"
    free = {axis for axis, size in enumerate(declared) if size is None or kind == "output"} & set(tensor.dynamic)
    sizes = [size if isinstance(size, int) and axis not in free else None for axis, size in enumerate(tensor.shape)]
    return len(sizes) == len(declared) and all(
        size == expected or (kind == "output" and size is None) for size, expected in zip(sizes, declared, strict=True)
    )


def _describe(shape: tuple[int | str | None, ...] | None) -> str:
    if shape is None:
        return "of any shape"
    return f"[{', '.join('any' if not isinstance(size, int) else str(size) for size in shape)}]"
