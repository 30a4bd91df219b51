"""Named tensors with shape, dtype, quantization and meaning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

from edgeml.core.encoding import Encoding

__all__ = [
    "LARGE_INTEGERS",
    "DType",
    "Label",
    "Meaning",
    "Part",
    "Quantization",
    "Signature",
    "TensorSpec",
    "describe_input",
    "holds_integers",
    "plain_name",
    "plain_names",
    "source_dtype",
]

LARGE_INTEGERS = frozenset({"int32", "int64", "uint32", "uint64"})
"""Dtypes whose numbers float32 cannot all represent."""

_MAX_LISTED = 10

Label = bool | int | float | str
Meaning = Literal["values", "scores", "label", "position"]
DType = Literal[
    "bool",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "string",
]


class Quantization(Struct, frozen=True, forbid_unknown_fields=True):
    """Affine quantization of a whole tensor: ``real = scale * (quantized - zero_point)``.

    Attributes:
        scale: Size of one step, in real units.
        zero_point: The integer that represents 0.
    """

    scale: float
    zero_point: int


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """The place of an artifact's output in an output of the source, of which it holds a part.

    Attributes:
        output: Name of the source's output.
        axis: Axis that the output is divided along, at least 1.
        positions: Positions on the axis, in ascending order.
    """

    output: str
    axis: int
    positions: tuple[int, ...]


class TensorSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The specification of an input or output.

    Attributes:
        name: Name in `Session.run`.
        shape: Sizes with the batch first; None for a dynamic size.
        dtype: NumPy name of the artifact's own dtype; ``string`` for text.
        quantization: Quantization of integers; None for floats.
        meaning: ``values`` for inputs and plain outputs, ``scores`` for outputs that a decision reads, ``label`` for an
            output of labels, ``position`` for an output of positions in the decision's labels.
        encoding: Encoding of an input's features before quantization; None for inputs without one.
        missing_values: Positions where an input supports missing values, NaN for numbers and "" for text: True for all,
            False for none, or columns of the last axis. The JSON key is ``gaps``.
        texts: The texts that an input supports; empty if it supports any.
        literal_texts: Texts such as ``None`` and ``NA`` that are values of their own, although files use them for
            missing values.
        source_dtype: Dtype of an artifact's output in the source, such as float32 for class numbers that the source
            casts; None where `source_dtype` follows from the other fields.
        part: For an artifact's output that holds only a part of the source's, its place there; else None. Together the
            parts hold all positions.
        unbatched: Whether the model file's tensor does not have the axis of the batch, as that of a threshold or of a
            state. The batch is 1, and so is the first size of `shape`.
        state: For an artifact's input that holds a state, the output with its next value, which sessions pass on; the
            source's signature has neither. Empty for other inputs.
        sizes: Names of an input's free sizes but the batch, in the order of their axes. Inputs share a size of one
            name. The free sizes of outputs follow from those of the inputs.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: DType
    quantization: Quantization | None = None
    meaning: Meaning = "values"
    encoding: Encoding | None = None
    missing_values: bool | tuple[int, ...] = field(default=False, name="gaps")
    texts: tuple[str, ...] = ()
    literal_texts: tuple[str, ...] = ()
    source_dtype: DType | None = None
    part: Part | None = None
    unbatched: bool = False
    state: str = ""
    sizes: tuple[str, ...] = ()

    @property
    def file_shape(self) -> tuple[int | None, ...]:
        """Sizes of the tensor in the model file."""
        return self.shape[1:] if self.unbatched else self.shape

    @property
    def named_shape(self) -> tuple[int | str | None, ...]:
        """The shape with the names of an input's free sizes; None for a free batch, and for free sizes of outputs."""
        names = iter(self.sizes)
        return tuple(next(names, None) if axis and size is None else size for axis, size in enumerate(self.shape))

    @property
    def source_name(self) -> str:
        """Name of the source's tensor that this one, or its part, belongs to."""
        return self.name if self.part is None else self.part.output


def describe_input(spec: TensorSpec) -> str:
    """Describe the text and the missing values that an input supports; empty for plain numbers."""
    parts = []
    if spec.dtype == "string":
        parts.append("text" if not spec.texts else f"one of {', '.join(spec.texts[:_MAX_LISTED])}")
        parts[-1] += ", …" if len(spec.texts) > _MAX_LISTED else ""
    if spec.missing_values:
        columns = (
            "" if isinstance(spec.missing_values, bool) else f" in columns {', '.join(map(str, spec.missing_values))}"
        )
        parts.append(f"may be missing{columns}")
    return ", ".join(parts)


def holds_integers(spec: TensorSpec) -> bool:
    """Return whether a tensor holds integers or bools themselves, such as ids, and not quantized reals."""
    return spec.quantization is None and spec.dtype != "string" and not spec.dtype.startswith("float")


def source_dtype(spec: TensorSpec) -> DType:
    """Return the dtype of an artifact's output in the source's units: integers, bools, labels keep their own.

    Other outputs are float32.
    """
    if spec.source_dtype is not None:
        return spec.source_dtype
    return spec.dtype if spec.meaning in {"label", "position"} or holds_integers(spec) else "float32"


class Signature(Struct, frozen=True, forbid_unknown_fields=True):
    """The named inputs and outputs of a source or an artifact.

    Attributes:
        inputs: Inputs in the source's order.
        outputs: Outputs in the source's order.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def is_batched(self) -> bool:
        """True if all tensors have the axis of the batch in the model file."""
        return not any(spec.unbatched for spec in (*self.inputs, *self.outputs))

    @property
    def free_sizes(self) -> tuple[str, ...]:
        """Names of the free sizes of the inputs but the batch."""
        return tuple(dict.fromkeys(name for spec in self.inputs for name in spec.sizes))

    @property
    def visible(self) -> Signature:
        """The tensors that callers see: all but those of a state."""
        states = {spec.state for spec in self.inputs if spec.state}
        if not states:
            return self
        return Signature(
            tuple(spec for spec in self.inputs if not spec.state),
            tuple(spec for spec in self.outputs if spec.name not in states),
        )

    @property
    def whole_outputs(self) -> tuple[TensorSpec, ...]:
        """Outputs in the source's order, with the parts of one output as one tensor of float32."""
        specs: dict[str, TensorSpec] = {}
        for spec in self.visible.outputs:
            if spec.part is None:
                specs[spec.name] = spec
                continue
            axis, others = spec.part.axis, specs.get(spec.source_name)
            size = len(spec.part.positions) + ((others.shape[axis] or 0) if others is not None else 0)
            shape = (*spec.shape[:axis], size, *spec.shape[axis + 1 :])
            specs[spec.source_name] = TensorSpec(spec.source_name, shape, "float32", meaning=spec.meaning)
        return tuple(specs.values())


def plain_name(name: str, used_names: set[str]) -> str:
    """Return a unique name that TensorFlow, TFLite and ONNX all keep unchanged.

    Args:
        name: Name of the tensor in the model.
        used_names: Names in use, in lower case; the new name is added.
    """
    base = "".join(letter if letter == "_" or (letter.isascii() and letter.isalnum()) else "_" for letter in name)
    if not base or not base[0].isalpha():
        base = f"tensor_{base}"
    unique, count = base, 1
    while unique.lower() in used_names:  # TensorFlow ignores case in names
        count += 1
        unique = f"{base}_{count}"
    used_names.add(unique.lower())
    return unique


def plain_names(names: Iterable[str]) -> list[str]:
    """Return plain names of several tensors, in order; deterministic, and unchanged for names that are plain."""
    used_names: set[str] = set()
    return [plain_name(name, used_names) for name in names]
