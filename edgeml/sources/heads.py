"""Tasks and decisions of a model's outputs, as far as the functions that compute them show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgeml.core.decisions import Decision
from edgeml.core.source import Head, Task
from edgeml.core.tensors import TensorSpec

__all__ = ["MOVING_LAYERS", "describe_outputs", "head_of", "moved_function"]

MOVING_LAYERS = frozenset({"Concatenate", "Cropping1D", "Cropping2D", "Flatten", "Permute", "Reshape"})
"""Keras layers that only move numbers."""

_DENSE: dict[int, Task] = {2: "classification", 3: "sequence"}  # by number of axes; of more, segmentation


def head_of(function: str, shape: Sequence[int | None], axis: int = -1) -> Head:
    """Return task and decision of an output.

    A softmax shows a label for each sample, step or pixel; a single sigmoid a label for each sample. Other sigmoids may
    be labels or values: their decision comes without a task.

    Args:
        function: Function that computes the output: ``softmax``, ``sigmoid``, or another.
        shape: Shape of the output ``[batch, ...]``.
        axis: Axis of the softmax.
    """
    rank = len(shape)
    if rank == 2 and shape[1] is None:  # one number or several: only a call shows it
        return Head()
    axis = -1 if axis in {-1, rank - 1} else axis
    units = (shape[axis] or 1) if rank > 1 and axis in {-1, 1} else 1
    if function == "softmax" and units > 1:
        return Head(_DENSE.get(rank, "segmentation"), Decision(tuple(range(units)), probabilities=True, axis=axis))
    if function != "sigmoid" or rank < 2:
        return Head()
    if rank > 2:
        return Head(None, Decision((0, 1), threshold=0.5, probabilities=True))
    if units > 1:
        return Head(None, Decision(tuple(range(units)), threshold=0.5, probabilities=True, independent=True))
    return Head("classification", Decision((0, 1), threshold=0.5, probabilities=True))


def moved_function(output: Any, layer: Any, function_of: Callable[[Any], str]) -> str:
    """Return the name of the function behind a layer that moves numbers; empty where it is not that of all of them.

    A softmax counts if its axis stays the last one.

    Args:
        output: Output of the layer.
        layer: A layer of `MOVING_LAYERS`, called once.
        function_of: Function from a tensor to the name of the function that computes it.
    """
    try:
        tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    except (AttributeError, ValueError):  # of a layer that is called several times
        return ""
    names = {function_of(tensor) for tensor in tensors}
    keeps_axis = len(tensors) == 1 and type(layer).__name__ != "Permute" and tensors[0].shape[-1] == output.shape[-1]
    return names.pop() if len(names) == 1 and (names == {"sigmoid"} or keeps_axis) else ""


def describe_outputs(
    specs: Sequence[TensorSpec], heads: Sequence[Head]
) -> tuple[Task | None, Decision | None, dict[str, Head]]:
    """Return task and decision of a model with one output, or the task of each of several.

    Args:
        specs: The outputs.
        heads: Task and decision of each.
    """
    if len(specs) == 1:
        return heads[0].task, heads[0].decision, {}
    return None, None, {spec.name: head for spec, head in zip(specs, heads, strict=True)}
