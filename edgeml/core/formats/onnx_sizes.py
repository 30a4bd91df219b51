"""Sizes of the inputs and outputs of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgeml.core.tensors import TensorSpec

__all__ = ["declare_sizes"]


def declare_sizes(values: Iterable[Any], specs: Iterable[TensorSpec]) -> None:
    """Write the sizes of specs into the `onnx.ValueInfoProto` of the same names, in place; the batch without a name."""
    by_name = {spec.name: spec for spec in specs}
    for value in values:
        spec, shape = by_name[value.name], value.type.tensor_type.shape
        shape.SetInParent()  # a scalar has a shape too
        del shape.dim[:]
        for size in spec.named_shape[1 if spec.unbatched else 0 :]:
            dim = shape.dim.add()
            if isinstance(size, int):
                dim.dim_value = size
            elif size is not None:
                dim.dim_param = size
