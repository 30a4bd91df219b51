"""Inputs and outputs of an ONNX model: dtypes, sizes, and the batch."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.formats.onnx_sizes import declare_sizes
from edgeml.core.free_sizes import SizeOption, beyond, combinations, size_text, with_sizes
from edgeml.core.tensors import DType, Signature, TensorSpec
from edgeml.sources.file_description import check_sizes, free_sizes_error, mark_unbatched
from edgeml.sources.onnx_trial import TrialError, TrialRuns

__all__ = ["read_signature"]

_DTYPES: dict[str, DType] = {
    "FLOAT": "float32",
    "FLOAT16": "float16",
    "DOUBLE": "float64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "BOOL": "bool",
    "STRING": "string",
}


def read_signature(model: Any, name: str, sizes: SizeOption) -> Signature:
    """Return the inputs and outputs of an `onnx.ModelProto` in normal form, and write their sizes into it.

    The first size is the batch where all inputs and outputs share it. Where only some have it, the batch is 1, and the
    others are unbatched: a threshold, or a state. A model without a batch takes one sample in each call. Sizes of
    outputs that the file does not declare, and whether a fixed first size is a batch, are settled by trial runs.

    Args:
        model: The model.
        name: Name of the file.
        sizes: A number for each free size, or those that it stays free for, by the name of the size; of one without a
            name by ``INPUT.AXIS``.

    Raises:
        InputError: `sizes` names a size that is not free.
        UnsupportedModelError: A tensor is not supported, or a size other than the batch is free and not in `sizes`.
    """
    graph = model.graph
    if not graph.input or not graph.output:
        raise UnsupportedModelError(f"{name} does not have both inputs and outputs.")
    inputs, is_free = _inputs([_declared(value, name) for value in graph.input], name, sizes)
    declare_sizes(graph.input, inputs)
    for value in graph.value_info:  # whose free sizes may be fixed now
        for size in value.type.tensor_type.shape.dim:
            size.ClearField("dim_param")
    declared = [_declared(value, name) for value in graph.output]
    if sizes or not all(_is_settled(tensor.shape, is_free=is_free) for tensor in declared):
        outputs = _trial_outputs(model, inputs, declared, name, sizes, is_free=is_free)
    else:
        outputs = [_spec(tensor, tensor.shape or ()) for tensor in declared]
    signature = _settle_batch(model, inputs, outputs, combinations(sizes)[0])
    declare_sizes(graph.input, signature.inputs)
    declare_sizes(graph.output, signature.outputs)
    return signature


class _Kept(NamedTuple):
    """A size that stays free, and is not the batch."""

    name: str

    def __str__(self) -> str:
        return self.name


class _Declared(NamedTuple):
    """An input or output as the file declares it: a free size by its name, or else by ``TENSOR.AXIS``."""

    name: str
    shape: tuple[int | str | _Kept, ...] | None
    dtype: DType

    @property
    def starts_free(self) -> bool:
        return bool(self.shape) and isinstance(self.shape[0], str)  # type: ignore[index]  # a shape that is not empty

    def __str__(self) -> str:
        return f"{self.name} [{', '.join(map(str, self.shape or ()))}]"


def _declared(value: Any, name: str) -> _Declared:
    import onnx

    kind = value.type.WhichOneof("value")
    if kind not in {"tensor_type", None}:
        raise UnsupportedModelError(
            f"{name}: '{value.name}' is a {kind.removesuffix('_type')}, expected a tensor.",
            fix="remove it from the model's inputs and outputs.",
        )
    names = {number: text for text, number in onnx.TensorProto.DataType.items()}
    code = names.get(value.type.tensor_type.elem_type, f"type {value.type.tensor_type.elem_type}")
    dtype = _DTYPES.get(code)
    if dtype is None:
        raise UnsupportedModelError(
            f"{name}: '{value.name}' is of {code.lower()}, which NumPy does not have or sessions do not support.",
            fix="add casts to float32 at the model's inputs and outputs.",
        )
    if not value.type.tensor_type.HasField("shape"):
        return _Declared(value.name, None, dtype)
    shape = tuple(
        size.dim_value if size.HasField("dim_value") else _size_name(size.dim_param) or f"{value.name}.{axis}"
        for axis, size in enumerate(value.type.tensor_type.shape.dim)
    )
    return _Declared(value.name, shape, dtype)


def _size_name(name: str) -> str:
    """Return the name of a free size; empty for what exporters write in place of one, as ``?``."""
    return name if any(character.isalpha() for character in name) else ""


def _is_settled(shape: tuple[int | str | _Kept, ...] | None, *, is_free: bool) -> bool:
    """Return whether an output's sizes are known but for a free batch.

    Files declare a batch alone where the output is a scalar, which only a run shows.
    """
    if shape is None or any(isinstance(size, str) for size in shape[1:]) or (is_free and len(shape) == 1):
        return False
    return is_free == (bool(shape) and isinstance(shape[0], str))


def _spec(tensor: _Declared, shape: Sequence[int | str | _Kept]) -> TensorSpec:
    """Return the spec of a tensor; one whose first size stays free does not have the axis of the batch."""
    unbatched = bool(shape) and isinstance(shape[0], _Kept)
    numbers = tuple(size if isinstance(size, int) else None for size in shape)
    kept = tuple(size.name for size in shape if isinstance(size, _Kept))
    return TensorSpec(
        tensor.name, (1, *numbers) if unbatched else numbers, tensor.dtype, unbatched=unbatched, sizes=kept
    )


def _inputs(declared: Sequence[_Declared], name: str, sizes: SizeOption) -> tuple[list[TensorSpec], bool]:
    """Return the inputs, and whether the batch is free: then their first sizes are None."""
    for tensor in declared:
        if tensor.shape is None:
            raise UnsupportedModelError(
                f"{name}: the input '{tensor.name}' does not have a shape.",
                fix="export the model with the input's shape.",
            )
    free = dict.fromkeys(size for tensor in declared for size in tensor.shape or () if isinstance(size, str))
    check_sizes(sizes, free, name)

    def settle(size: int | str | _Kept) -> int | str | _Kept:
        number = sizes.get(size, size) if isinstance(size, str) else size
        return number if isinstance(number, int | str) else _Kept(str(size))

    tensors = [
        tensor._replace(shape=tuple(map(settle, tensor.shape))) for tensor in declared if tensor.shape is not None
    ]
    batches = {tensor.shape[0] for tensor in tensors if tensor.starts_free and tensor.shape}
    inner = dict.fromkeys(size for tensor in tensors for size in (tensor.shape or ())[1:] if isinstance(size, str))
    is_shared = all(tensor.starts_free for tensor in tensors)
    is_one = len(batches) < 2 or all("." in str(batch) for batch in batches)
    others = [size for size in inner if size not in batches or not is_one or _stands_twice(size, tensors)]
    if others or not (is_shared or is_one):
        unknown = others or sorted(map(str, batches))
        raise free_sizes_error(name, unknown, f"Its inputs are {'; '.join(map(str, tensors))}.")
    if is_shared and not inner:
        return [_spec(tensor, tensor.shape or ()) for tensor in tensors], True
    specs = []
    for tensor in tensors:
        spec = _spec(tensor, [1 if isinstance(size, str) else size for size in tensor.shape or ()])
        specs.append(mark_unbatched(spec, always=True) if batches and not tensor.starts_free else spec)
    return specs, False


def _stands_twice(size: str, tensors: Sequence[_Declared]) -> bool:
    """Return whether a size is both the first and another of a tensor, as that of a matrix of neighbors."""
    return any((tensor.shape or ()).count(size) > 1 for tensor in tensors)


def _trial_outputs(
    model: Any,
    inputs: Sequence[TensorSpec],
    declared: Sequence[_Declared],
    name: str,
    sizes: SizeOption,
    *,
    is_free: bool,
) -> list[TensorSpec]:
    """Return the outputs with the sizes of trial runs, of two batches where the batch is free.

    Sizes that differ where others are kept free are free too; see `beyond` for the numbers that are tried as well.
    """
    for value in model.graph.output:  # what the file declares may belong to other sizes
        value.type.tensor_type.ClearField("shape")
    names = ", ".join(tensor.name for tensor in declared)
    outputs: list[list[TensorSpec]] = []
    numbers: Mapping[str, int] = {}
    try:
        runs = TrialRuns(model)
        for numbers in combinations(sizes):
            outputs.append(_outputs_at(runs, inputs, declared, name, numbers, is_free=is_free))
    except TrialError as error:
        at = f" at {size_text(numbers)}" if numbers else ""
        raise UnsupportedModelError(
            f"{name}: the sizes of {names} are not known, and a trial run{at} failed: {error}.",
            fix="give other sizes, for instance those of its documentation."
            if sizes
            else "export the model with the sizes of its outputs.",
        ) from error
    for numbers in beyond(sizes):
        with contextlib.suppress(TrialError, UnsupportedModelError):
            outputs.append(_outputs_at(runs, inputs, declared, name, numbers, is_free=is_free))
    return [_with_free_sizes(specs, name) for specs in zip(*outputs, strict=True)]


def _outputs_at(
    runs: TrialRuns,
    inputs: Sequence[TensorSpec],
    declared: Sequence[_Declared],
    name: str,
    sizes: Mapping[str, int],
    *,
    is_free: bool,
) -> list[TensorSpec]:
    """Return the outputs with their sizes in runs of inputs of these sizes."""
    batches = (2, 3) if is_free else (1, 1)
    numbered = with_sizes(Signature(tuple(inputs), ()), sizes).inputs
    arrays = [runs.outputs(numbered, batch, seed) for seed, batch in enumerate(batches)]
    return [
        _common_spec(tensor, shapes, batches if is_free else None, name)
        for tensor, *shapes in zip(declared, *([array.shape for array in run] for run in arrays), strict=True)
    ]


def _with_free_sizes(specs: Sequence[TensorSpec], name: str) -> TensorSpec:
    """Return an output of runs of several sizes, with the sizes that differ free."""
    shapes = [spec.shape for spec in specs]
    if len({len(shape) for shape in shapes}) > 1:
        raise UnsupportedModelError(
            f"{name}: the number of axes of '{specs[0].name}' depends on the sizes of the inputs.",
            fix="fix them in a build: --size NAME=N (sizes= in Python).",
        )
    shape = tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True))
    return msgspec.structs.replace(specs[0], shape=shape)


def _common_spec(
    tensor: _Declared, shapes: Sequence[tuple[int, ...]], batches: tuple[int, int] | None, name: str
) -> TensorSpec:
    """Return an output of two trial runs, with a free batch if they had batches of these sizes."""
    first, second = shapes
    is_batch = batches is not None and (first[:1], second[:1]) == (batches[:1], batches[1:])
    start = 1 if is_batch else 0
    if first[start:] != second[start:] and (batches is None or is_batch):
        raise UnsupportedModelError(
            f"{name}: the size of '{tensor.name}' depends on the values of the inputs: {list(first)} in a trial run, "
            f"{list(second)} in another.",
            fix="end the model before the operator that selects, as non-maximum suppression, and select after it.",
        )
    if batches is not None and not is_batch:
        raise UnsupportedModelError(
            f"{name}: the output '{tensor.name}' has the shape {list(first)} for {batches[0]} samples, {list(second)} "
            f"for {batches[1]}: the free size of the inputs does not act as a batch.",
            fix="if it is a length, fix it by --size NAME=N (sizes= in Python), or keep it free by --size NAME=N,M; "
            "`edgeml inspect` shows its name.",
        )
    return _spec(tensor, ("batch", *first[1:]) if is_batch else first)


def _settle_batch(
    model: Any, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], sizes: Mapping[str, int]
) -> Signature:
    """Mark the tensors that do not have the batch; where it is free, all have it or the file is refused later.

    Args:
        model: The model.
        inputs: Its inputs.
        outputs: Its outputs.
        sizes: Numbers for the sizes that stay free, for trial runs.
    """
    firsts = {spec.shape[0] if spec.shape and not spec.unbatched else 0 for spec in (*inputs, *outputs)}
    if firsts in ({None}, {1}) or (len(firsts) == 1 and 0 not in firsts and _is_batch(model, inputs, sizes)):
        return Signature(tuple(inputs), tuple(outputs))
    return Signature(tuple(map(mark_unbatched, inputs)), tuple(map(mark_unbatched, outputs)))


def _is_batch(model: Any, inputs: Sequence[TensorSpec], sizes: Mapping[str, int]) -> bool:
    if any(node.op_type.startswith("DynamicQuantize") for node in model.graph.node):
        return True  # whose answers depend on the range of the whole batch
    try:
        return TrialRuns(model).has_batch(with_sizes(Signature(tuple(inputs), ()), sizes).inputs)
    except TrialError:  # of random numbers: the proof runs real ones
        return True
