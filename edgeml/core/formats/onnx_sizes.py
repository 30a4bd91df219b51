"""Sizes of the inputs and outputs of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgeml.core.tensors import TensorSpec

__all__ = ["declare_sizes"]


def declare_sizes(values: Iterable[Any], specs: Iterable[TensorSpec]) -> None:
    """Write the sizes of specs into the `onnx.ValueInfoProto` of the same names, in place; free ones without a name."""
    by_name = {spec.name: spec for spec in specs}
    for value in values:
        shape = value.type.tensor_type.shape
        shape.SetInParent()  # a scalar has a shape too
        del shape.dim[:]
        for size in by_name[value.name].file_shape:
            dim = shape.dim.add()
            if size is not None:
                dim.dim_value = size
