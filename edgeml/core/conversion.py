"""What a converter is given beside the source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.recipe import Recipe
from edgeml.core.source import Source

__all__ = ["ConversionJob", "Converter"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConversionJob:
    """The conversion of one source by several recipes.

    Attributes:
        folder: Where intermediate files may be put.
        batch: Fixed batch of the artifacts; None for the format's own (1 for TFLite, free for ONNX).
        calibration: float32 arrays ``[samples, ...]`` by input name; None where none were given.
    """

    folder: Path
    batch: int | None = None
    calibration: dict[str, np.ndarray] | None = None
    _made: dict[str, object] = field(default_factory=dict)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gives, made at the first call for `key` and kept for the recipes that share it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[return-value]  # a key always names one kind of value


Converter = Callable[[Source, Recipe, ConversionJob], Artifact]
"""A route. Raises UnsupportedModelError where the recipe cannot be made honestly for the source."""
