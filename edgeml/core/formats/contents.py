"""Contents of a model file."""

from __future__ import annotations

from msgspec import Struct

from edgeml.core.tensors import Quantization

__all__ = ["FileContents", "FileScan", "MalformedFileError", "TensorContents"]


class MalformedFileError(ValueError):
    """A model file is not what its format defines.

    Args:
        reason: A clause about the file, for a message.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class TensorContents(Struct, frozen=True, omit_defaults=True):
    """An input or output of a model file.

    Attributes:
        name: Its name in the file.
        shape: Sizes of its axes: a number, a name of a free size, or None for a free size without a name. None if the
            file does not declare a shape.
        dtype: Its dtype, as NumPy names it where NumPy has it; or another kind, as ``sequence``.
        quantization: Scale and zero point, if the tensor is quantized as a whole.
        dynamic: Axes with a number that the file holds, and that engines may change.
    """

    name: str
    shape: tuple[int | str | None, ...] | None
    dtype: str
    quantization: Quantization | None = None
    dynamic: tuple[int, ...] = ()


class FileContents(Struct, frozen=True):
    """Contents of a model file, for people who look into it, as far as its format has them.

    Attributes:
        inputs: Its inputs.
        outputs: Its outputs.
        operators: How often each operator, or layer, occurs; the most frequent first.
        weight_bytes: Bytes of the constants by dtype.
        versions: Versions of the format, of operator sets, and of the tool that wrote the file.
        metadata: Other entries by name.
    """

    inputs: tuple[TensorContents, ...] = ()
    outputs: tuple[TensorContents, ...] = ()
    operators: dict[str, int] = {}
    weight_bytes: dict[str, int] = {}
    versions: dict[str, str] = {}
    metadata: dict[str, str] = {}


class FileScan(Struct, frozen=True):
    """Result of the static check of a model file's bytes.

    Attributes:
        inputs: Its inputs.
        outputs: Its outputs.
        external: Data that the file keeps in other files, each a clause.
        foreign: Operators that engines do not bring, each a clause.
    """

    inputs: tuple[TensorContents, ...]
    outputs: tuple[TensorContents, ...]
    external: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
