"""Parts of an output whose values are of different range, each to be quantized by a scale of its own.

A detector's output joins boxes in pixels with scores from 0 to 1; in 8 bits one scale for both leaves two scores. The
parts are cut before they are joined: from the branches of a concatenation, or the columns of the last layer's weights.
The rules are the same for every framework; an editor reads and extends its graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from edgeml.core.column_groups import NEGLIGIBLE_RANGE, group_by_range, is_softmax

__all__ = [
    "MAX_SAMPLES",
    "Computation",
    "GraphEditor",
    "Join",
    "Permutation",
    "Ranges",
    "Reshaping",
    "Shape",
    "broadcast_axes",
    "cut",
    "divides",
    "find_parts",
]

T = TypeVar("T")
Shape = tuple[int | None, ...]

MAX_SAMPLES = 200
"""Calibration samples that suffice for ranges whose ratio decides, not their size."""
_FREE = -1


@dataclass(frozen=True, slots=True)
class Join(Generic[T]):
    """Concatenation along an axis.

    Attributes:
        inputs: The joined tensors.
        axis: Axis of the output, not negative.
        stacks: Whether the axis is a new one, on which each input has one position.
    """

    inputs: tuple[T, ...]
    axis: int
    stacks: bool = False


@dataclass(frozen=True, slots=True)
class Reshaping(Generic[T]):
    """Another shape for the same values in the same order.

    Attributes:
        input: The tensor.
    """

    input: T


@dataclass(frozen=True, slots=True)
class Permutation(Generic[T]):
    """Another order of the axes.

    Attributes:
        input: The tensor.
        axes: Axis of the input for each axis of the output.
    """

    input: T
    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Computation(Generic[T]):
    """An operator that computes each position of an axis by itself.

    Attributes:
        inputs: The operands.
        axes: For each operand the axis whose positions it computes with; None where all positions read all of it.
        divides: The positions have ranges of their own, though their operands may share one: each has its own weights.
    """

    inputs: tuple[T, ...]
    axes: tuple[int | None, ...]
    divides: bool = False


class GraphEditor(Protocol[T]):
    """Reads the operators of a framework's graph, and adds new ones. ``T`` stands for its tensors."""

    def shape(self, tensor: T) -> Shape | None:
        """Return a tensor's sizes; None where even their number is not known."""
        ...

    def is_constant(self, tensor: T) -> bool:
        """Return whether a tensor is a constant of the graph."""
        ...

    def operation(self, tensor: T, axis: int) -> Join[T] | Reshaping[T] | Permutation[T] | Computation[T] | None:
        """Return how an operator computes a tensor along an axis; None where the positions cannot be cut before it."""
        ...

    def take(self, tensor: T, axis: int, positions: np.ndarray) -> T:
        """Add a selection of ascending positions."""
        ...

    def join(self, tensors: Sequence[T], axis: int, *, stacks: bool = False) -> T:
        """Add a `Join`."""
        ...

    def reshape(self, tensor: T, shape: Shape) -> T:
        """Add a `Reshaping`; the size of the batch may be None."""
        ...

    def permute(self, tensor: T, axes: tuple[int, ...]) -> T:
        """Add a `Permutation`."""
        ...

    def compute(self, tensor: T, inputs: Sequence[T]) -> T:
        """Add a copy of the operator that computes a tensor, with other operands."""
        ...


class Ranges:
    """Ranges of one output's values over samples.

    Args:
        batches: Values ``[samples, ...]``, at least one batch.
    """

    def __init__(self, batches: Iterable[np.ndarray]) -> None:
        lows, highs = [], []
        self._softmax: set[int] | None = None
        for values in batches:
            axes = {axis for axis in range(1, values.ndim) if is_softmax(values, axis)}
            self._softmax = axes if self._softmax is None else self._softmax & axes
            lows.append(values.min(axis=0))
            highs.append(values.max(axis=0))
        # A quantized range includes zero.
        self._extents = np.maximum(np.max(highs, axis=0), 0) - np.minimum(np.min(lows, axis=0), 0)

    def along(self, axis: int) -> np.ndarray | None:
        """Return the range that each position of an axis is quantized with, ``[positions]``; None for a softmax."""
        if axis in (self._softmax or ()):
            return None
        return np.asarray(self._extents.max(axis=tuple(i for i in range(self._extents.ndim) if i != axis - 1)))


def divides(editor: GraphEditor[T], output: T) -> bool:
    """Return whether an output can be cut into parts."""
    return any(_is_divisible(_units(editor, output, axis)) for axis in _axes(editor, output))


def find_parts(editor: GraphEditor[T], output: T, ranges: Ranges) -> tuple[int, list[np.ndarray]] | None:
    """Return the axis, and the positions of each part on it, that an output is to be cut into.

    Returns:
        None where all values are of similar range, or cannot be quantized apart.
    """
    for axis in _axes(editor, output):
        units, extents = _units(editor, output, axis), ranges.along(axis)
        if extents is None or not _is_divisible(units):
            continue
        for unit in set(units.tolist()) - {_FREE}:
            extents[units == unit] = extents[units == unit].max()
        varying = extents > NEGLIGIBLE_RANGE * extents.max()
        groups = [np.flatnonzero(varying)[group] for group in group_by_range(extents[varying])]
        if len(groups) > 1:
            groups[-1] = np.union1d(groups[-1], np.flatnonzero(~varying))
            return axis, groups
    return None


def cut(editor: GraphEditor[T], tensor: T, axis: int, positions: np.ndarray) -> T:
    """Return a tensor of some positions of an axis, computed apart from the others as far up as possible."""
    shape = _sizes(editor, tensor)
    if len(positions) == shape[axis]:
        return tensor
    operation = editor.operation(tensor, axis)
    if isinstance(operation, Join):
        return _cut_join(editor, operation, axis, positions)
    if isinstance(operation, Permutation):
        inner = cut(editor, operation.input, operation.axes[axis], positions)
        return editor.permute(inner, operation.axes)
    if isinstance(operation, Reshaping):
        source = _source_axis(_sizes(editor, operation.input), shape, axis)
        if source is not None:
            inner_axis, repeats = source
            size = shape[axis] or 0
            inner_positions = (size * np.arange(repeats)[:, None] + positions).ravel()
            inner = cut(editor, operation.input, inner_axis, inner_positions)
            return editor.reshape(inner, (*shape[:axis], len(positions), *shape[axis + 1 :]))
    if isinstance(operation, Computation):
        pairs = zip(operation.inputs, operation.axes, strict=True)
        operands = [value if own is None else cut(editor, value, own, positions) for value, own in pairs]
        return editor.compute(tensor, operands)
    return editor.take(tensor, axis, positions)


def broadcast_axes(shapes: Sequence[Shape | None], rank: int, axis: int) -> tuple[int | None, ...] | None:
    """Return the axis of each operand that an elementwise operator reads for an axis of its output.

    Returns:
        None stands for an operand that is the same for all positions. None altogether where a shape is not known.
    """
    axes: list[int | None] = []
    for shape in shapes:
        if shape is None:
            return None
        own = axis - (rank - len(shape))
        axes.append(None if own < 0 or shape[own] == 1 else own)
    return tuple(axes)


def _sizes(editor: GraphEditor[T], tensor: T) -> Shape:
    return editor.shape(tensor) or ()


def _axes(editor: GraphEditor[T], output: T) -> list[int]:
    """Return the axes along which the kinds of values differ: the last one, or the first behind the batch."""
    shape = _sizes(editor, output)
    return [axis for axis in sorted({1, len(shape) - 1}, reverse=True) if 0 < axis < len(shape) and shape[axis]]


def _is_divisible(units: np.ndarray) -> bool:
    return len(units) > 1 and bool((units == _FREE).any() or (units != units[0]).any())


def _units(editor: GraphEditor[T], tensor: T, axis: int) -> np.ndarray:
    """Return for each position of an axis the undivided tensor that it is from, as a number; -1 for none.

    Positions of one tensor that cannot be cut have one scale.
    """
    return _Units(editor).of(tensor, axis)


class _Units(Generic[T]):
    def __init__(self, editor: GraphEditor[T]) -> None:
        self._editor = editor
        self._count = 0

    def of(self, tensor: T, axis: int) -> np.ndarray:
        shape = _sizes(self._editor, tensor)
        size = shape[axis] or 0
        if self._editor.is_constant(tensor):
            return np.full(size, _FREE)
        operation = self._editor.operation(tensor, axis)
        units = None
        if isinstance(operation, Join):
            units = self._of_join(operation, axis)
        elif isinstance(operation, Permutation):
            units = self.of(operation.input, operation.axes[axis])
        elif isinstance(operation, Reshaping):
            source = _source_axis(_sizes(self._editor, operation.input), shape, axis)
            inner = self.of(operation.input, source[0]) if source is not None else np.empty(0)
            if source is not None and len(inner) == source[1] * size:  # else the size of an inner axis is not known
                units = _merge(inner.reshape(source[1], size))
        elif isinstance(operation, Computation):
            pairs = zip(operation.inputs, operation.axes, strict=True)
            own = [self.of(value, axis) for value, axis in pairs if axis is not None]
            if operation.divides:
                units = np.full(size, _FREE)
            elif all(len(each) == size for each in own):
                units = _merge(own)
        if units is None or len(units) != size:
            self._count += 1
            units = np.full(size, self._count)
        return units

    def _of_join(self, operation: Join[T], axis: int) -> np.ndarray:
        if operation.stacks and axis == operation.axis:
            return np.full(len(operation.inputs), _FREE)
        inner = [self.of(value, _inner_axis(operation, axis)) for value in operation.inputs]
        if axis != operation.axis and len({len(each) for each in inner}) > 1:
            return np.empty(0)  # the size of an inner axis is not known
        return np.concatenate(inner) if axis == operation.axis else _merge(inner)


def _merge(units: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return the units of positions that have several: the first that is a tensor."""
    merged, *others = units
    for other in others:
        merged = np.where(merged == _FREE, other, merged)
    return np.asarray(merged)


def _cut_join(editor: GraphEditor[T], operation: Join[T], axis: int, positions: np.ndarray) -> T:
    inner = _inner_axis(operation, axis)
    if axis != operation.axis:
        return editor.join(
            [cut(editor, value, inner, positions) for value in operation.inputs],
            operation.axis,
            stacks=operation.stacks,
        )
    if operation.stacks:
        return editor.join([operation.inputs[i] for i in positions], axis, stacks=True)
    tensors, begin = [], 0
    for value in operation.inputs:
        end = begin + (_sizes(editor, value)[axis] or 0)
        own = positions[(positions >= begin) & (positions < end)] - begin
        if len(own):
            tensors.append(cut(editor, value, axis, own))
        begin = end
    return tensors[0] if len(tensors) == 1 else editor.join(tensors, axis)


def _inner_axis(operation: Join[T], axis: int) -> int:
    """Return the axis of a join's inputs that is an axis of its output."""
    return axis - 1 if operation.stacks and axis > operation.axis else axis


def _source_axis(before: Shape, after: Shape, axis: int) -> tuple[int, int] | None:
    """Return the axis before a reshaping whose positions are those of an axis behind it, and how often they repeat.

    Behind ``[batch, 8, 8, 3 * 85] -> [batch, 192, 85]`` position 4 of the last axis is 4, 89 and 174 before.
    """
    size, inner = after[axis], _product(after[axis + 1 :])
    for source in range(len(before)):
        own = before[source]
        if own and size and inner is not None and own % size == 0 and _product(before[source + 1 :]) == inner:
            return source, own // size
    return None


def _product(sizes: Shape) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None
