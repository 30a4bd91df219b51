"""A model as a TensorFlow function: where all routes that go through TensorFlow meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgeml.core.tensors import Signature

__all__ = ["Graph"]


@dataclass(frozen=True, slots=True)
class Graph:
    """A model that TensorFlow can trace.

    Attributes:
        function: Called with one float32 `tf.Tensor` ``[batch, ...]`` per input, in the signature's order;
            returns float32 tensors ``[batch, ...]`` by output name.
        signature: The source's signature; inputs may be encoded, and a label's position may be added to the outputs.
    """

    function: Callable[..., dict[str, Any]]
    signature: Signature
