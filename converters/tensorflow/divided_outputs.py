"""Division of a function's outputs into parts of similar range, each an output with a scale of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from edgeml.core.tensors import Part, TensorSpec, plain_name
from edgeml.quantization.output_parts import (
    Computation,
    Join,
    Permutation,
    Ranges,
    Reshaping,
    Shape,
    broadcast_axes,
    cut,
    divides,
    find_parts,
)

__all__ = ["divide_outputs"]

# Not Sigmoid, Tanh and Softmax: the scale of their results is fixed in TFLite, so that parts of them gain nothing.
_ELEMENTWISE = {
    "Abs", "Add", "AddV2", "BiasAdd", "Elu", "Erf", "Exp", "Expm1", "Identity", "LeakyRelu", "Log", "Log1p", "Maximum",
    "Minimum", "Mul", "Neg", "Pow", "RealDiv", "Reciprocal", "Relu", "Relu6", "Rsqrt", "Selu", "Softplus", "Softsign",
    "Sqrt", "Square", "SquaredDifference", "Sub",
}  # fmt: skip
_RESHAPING = {"ExpandDims", "Reshape", "Squeeze"}
_CHANNELS_FIRST = b"NCHW"


def divide_outputs(
    function: Any, specs: Sequence[TensorSpec], batches: Callable[[], Iterable[Sequence[Any]]]
) -> tuple[Any, tuple[TensorSpec, ...]]:
    """Divide the outputs of a function whose values are of different range.

    Args:
        function: A `ConcreteFunction` without captured tensors, with a list of outputs.
        specs: Their specs.
        batches: Function that returns calibration samples, a list of tensors per batch.

    Returns:
        The function itself and its specs if no output is to be divided; else a function with an output for each part.
    """
    editor = _Editor(function.graph)
    outputs = [tensor for tensor in function.outputs if divides(editor, tensor)]
    if not outputs:
        return function, tuple(specs)
    run = function.prune(function.inputs, outputs)
    values = [[value.numpy() for value in run(*batch)] for batch in batches()]
    ranges = {tensor.name: Ranges(column) for tensor, column in zip(outputs, zip(*values, strict=True), strict=True)}
    parts = {name: find_parts(editor, function.graph.get_tensor_by_name(name), own) for name, own in ranges.items()}
    if not any(parts.values()):
        return function, tuple(specs)
    return _divide(function, specs, parts)


def _divide(
    function: Any, specs: Sequence[TensorSpec], parts: dict[str, tuple[int, list[np.ndarray]] | None]
) -> tuple[Any, tuple[TensorSpec, ...]]:
    import tensorflow as tf

    definition = function.graph.as_graph_def()
    imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
    editor = _Editor(imported.graph)
    used_names = {spec.name.lower() for spec in specs}
    tensors, own_specs = [], []
    for end, spec in zip(function.outputs, specs, strict=True):
        tensor = imported.graph.as_graph_element(end.name)
        divided = parts.get(end.name)
        if divided is None:
            tensors.append(tensor)
            own_specs.append(spec)
            continue
        axis, groups = divided
        for number, positions in enumerate(groups, 1):
            with imported.graph.as_default():
                tensors.append(cut(editor, tensor, axis, positions))
            shape = (*spec.shape[:axis], len(positions), *spec.shape[axis + 1 :])
            name = plain_name(f"{spec.name}_part_{number}", used_names)
            part = Part(spec.name, axis, tuple(positions.tolist()))
            own_specs.append(msgspec.structs.replace(spec, name=name, shape=shape, part=part))
    inputs = [imported.graph.as_graph_element(end.name) for end in function.inputs]
    return imported.prune(inputs, tensors), tuple(own_specs)


class _Editor:
    """A `GraphEditor` of `tf.Tensor`."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def shape(self, tensor: Any) -> Shape | None:
        return None if tensor.shape.rank is None else tuple(tensor.shape)

    def is_constant(self, tensor: Any) -> bool:
        return _constant(tensor) is not None

    def operation(
        self, tensor: Any, axis: int
    ) -> Join[Any] | Reshaping[Any] | Permutation[Any] | Computation[Any] | None:
        operator, rank = tensor.op, tensor.shape.rank
        inputs = tuple(operator.inputs)
        if operator.type in _RESHAPING:
            return Reshaping(inputs[0])
        if operator.type in {"ConcatV2", "Pack", "Transpose"}:
            return _movement(operator, inputs, rank)
        if operator.type in _ELEMENTWISE and (operator.type != "BiasAdd" or _has_channels_last(operator)):
            return _elementwise(inputs, rank, axis)
        if axis != rank - 1 or tensor.value_index or not _has_channels_last(operator):
            return None
        return _by_channel(operator, inputs)

    def take(self, tensor: Any, axis: int, positions: np.ndarray) -> Any:
        import tensorflow as tf

        value = _constant(tensor)
        if value is not None:
            return tf.constant(np.take(value, positions, axis))
        first, last = int(positions[0]), int(positions[-1])
        if len(positions) == last + 1 - first:
            return tensor[(*[slice(None)] * axis, slice(first, last + 1))]
        return tf.gather(tensor, positions.astype(np.int32), axis=axis)

    def join(self, tensors: Sequence[Any], axis: int, *, stacks: bool = False) -> Any:
        import tensorflow as tf

        return tf.stack(list(tensors), axis) if stacks else tf.concat(list(tensors), axis)

    def reshape(self, tensor: Any, shape: Shape) -> Any:
        import tensorflow as tf

        return tf.reshape(tensor, [-1 if size is None else size for size in shape])

    def permute(self, tensor: Any, axes: tuple[int, ...]) -> Any:
        import tensorflow as tf

        return tf.transpose(tensor, axes)

    def compute(self, tensor: Any, inputs: Sequence[Any]) -> Any:
        operator = tensor.op
        attributes = dict(operator.node_def.attr)
        attributes.pop("_output_shapes", None)
        dtypes = [output.dtype for output in operator.outputs]
        copy = self._graph.create_op(operator.type, list(inputs), dtypes, attrs=attributes)
        return copy.outputs[tensor.value_index]


def _movement(operator: Any, inputs: tuple[Any, ...], rank: int) -> Join[Any] | Permutation[Any] | None:
    if operator.type == "Pack":
        return Join(inputs, operator.get_attr("axis") % rank, stacks=True)
    axes = _constant(inputs[-1])
    if axes is None:
        return None
    if operator.type == "ConcatV2":
        return Join(inputs[:-1], int(axes) % rank)
    return Permutation(inputs[0], tuple(map(int, axes)))


def _elementwise(inputs: tuple[Any, ...], rank: int, axis: int) -> Computation[Any] | None:
    shapes = [None if value.shape.rank is None else tuple(value.shape) for value in inputs]
    axes = broadcast_axes(shapes, rank, axis)
    if axes is None or all(own is None for own in axes):
        return None
    # Constants that differ by position, such as the sizes of targets, give each position a range of its own.
    constants = [own is not None and _constant(value) is not None for value, own in zip(inputs, axes, strict=True)]
    return Computation(inputs, axes, divides=any(constants))


def _by_channel(operator: Any, inputs: tuple[Any, ...]) -> Computation[Any] | None:
    """Return an operator that computes each channel, the last axis, from weights of its own, or without weights."""
    kind = operator.type
    if kind in {"MatMul", "BatchMatMulV2"}:
        transposed = operator.get_attr("transpose_b" if kind == "MatMul" else "adj_y")
        rank = inputs[1].shape.rank
        return Computation(inputs, (None, rank - 2 if transposed else rank - 1), divides=True)
    if kind in {"AvgPool", "MaxPool", "ResizeBilinear", "ResizeNearestNeighbor"}:
        return Computation(inputs, (3, *(None for _ in inputs[1:])))
    axes: dict[str, tuple[int | None, ...]] = {"Conv2D": (None, 3), "FusedBatchNormV3": (3, 0, 0, 0, 0)}
    if kind == "DepthwiseConv2dNative" and inputs[1].shape[3] == 1:
        axes[kind] = (3, 2)
    return Computation(inputs, axes[kind], divides=True) if kind in axes else None


def _has_channels_last(operator: Any) -> bool:
    return operator.node_def.attr["data_format"].s != _CHANNELS_FIRST


def _constant(tensor: Any) -> np.ndarray | None:
    """Return the value of a constant; None for other tensors."""
    import tensorflow as tf

    value = tf.get_static_value(tensor)
    return None if value is None else np.asarray(value)
