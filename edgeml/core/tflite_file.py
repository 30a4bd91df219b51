"""What a TFLite file says of itself: its tensors, its operators, its precision, the runtime that it needs."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from edgeml.core.artifact import Needs
from edgeml.core.recipe import Precision
from edgeml.core.tensors import Signature

__all__ = ["TfliteFile"]


class TfliteFile(Struct, frozen=True):
    """A TFLite file, read.

    Attributes:
        signature: Its tensors by the names of its signature, or where it has none by their own, made plain.
        needs: What it needs of the engine.
        stored: The dtypes of all its tensors.
        precision: Of its computing; None where no recipe is of that kind.
        decides: The operator that gives its last output, where that is one that classifiers end in.
        custom: Operators that are not TFLite's own, sorted.
        signatures: How many it has.
        free: Names of inputs and outputs of which another size than the first is free.
    """

    signature: Signature
    needs: Needs
    stored: frozenset[str]
    precision: Precision | None
    decides: Literal["softmax", "sigmoid"] | None
    custom: tuple[str, ...]
    signatures: int
    free: tuple[str, ...]
