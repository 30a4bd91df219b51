"""Named tensors: shape, dtype, quantization, meaning."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from edgeml.core.encoding import Encoding

__all__ = ["DType", "Label", "Meaning", "Quantization", "Signature", "TensorSpec", "plain_name", "plain_names", "taken"]

_SHOWN = 10

Label = bool | int | float | str
Meaning = Literal["values", "scores", "label", "position"]
DType = Literal["bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "string"]


class Quantization(Struct, frozen=True, forbid_unknown_fields=True):
    """Affine quantization of a whole tensor: ``real = scale * (quantized - zero_point)``."""

    scale: float
    zero_point: int


class TensorSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One input or output.

    Attributes:
        name: The name by which `Session.run` takes or gives it.
        shape: Sizes with the batch first; None where any size is taken.
        dtype: The numpy name of what the artifact itself takes or gives; ``string`` for text.
        quantization: How its integers stand for real numbers; None for floats.
        meaning: ``values`` for inputs and plain outputs, ``scores`` where a decision reads them,
            ``label`` where the model itself outputs the label, ``position`` where it outputs the label's
            position in the decision's labels.
        encoding: Of an input, what is to be done to the source's numbers before they are quantized and given to
            the artifact; None where it takes them as they are.
        gaps: Where an input may lack a value, which is NaN for numbers and "" for text: everywhere, nowhere, or in
            these columns of its last axis.
        texts: The only texts that an input takes; none where it takes any.
        literal_texts: Texts that the model knows as values of their own although files spell missing values so, as
            ``None`` and ``NA``.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: DType
    quantization: Quantization | None = None
    meaning: Meaning = "values"
    encoding: Encoding | None = None
    gaps: bool | tuple[int, ...] = False
    texts: tuple[str, ...] = ()
    literal_texts: tuple[str, ...] = ()


def taken(spec: TensorSpec) -> str:
    """What an input takes beside numbers, in words: text, which texts, and where a value may be missing."""
    told = []
    if spec.dtype == "string":
        told.append("text" if not spec.texts else f"one of {', '.join(spec.texts[:_SHOWN])}")
        told[-1] += ", …" if len(spec.texts) > _SHOWN else ""
    if spec.gaps:
        columns = "" if isinstance(spec.gaps, bool) else f" in columns {', '.join(map(str, spec.gaps))}"
        told.append(f"may be missing{columns}")
    return ", ".join(told)


class Signature(Struct, frozen=True, forbid_unknown_fields=True):
    """The named inputs and outputs of a source or an artifact, in the source's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def plain_name(name: str, taken: set[str]) -> str:
    """A name that TensorFlow, TFLite and ONNX all leave as it is, and no other tensor has.

    Args:
        name: What the model calls the tensor.
        taken: The names given so far, in lower case; the new one is added.
    """
    base = "".join(letter if letter == "_" or (letter.isascii() and letter.isalnum()) else "_" for letter in name)
    if not base or not base[0].isalpha():
        base = f"tensor_{base}"
    unique, count = base, 1
    while unique.lower() in taken:  # TensorFlow takes names that differ in case alone for one
        count += 1
        unique = f"{base}_{count}"
    taken.add(unique.lower())
    return unique


def plain_names(names: Iterable[str]) -> list[str]:
    """The plain names of several tensors, in their order: the same at every call, and of plain names the same."""
    taken: set[str] = set()
    return [plain_name(name, taken) for name in names]
