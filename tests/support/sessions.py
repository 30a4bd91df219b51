"""What tests of sessions share: recipes, answers as arrays, the memory of this process."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from edgeml.core.recipe import RECIPES
from edgeml.core.session import Session

__all__ = ["ALL", "EACH", "array_of", "resident_mb", "scores_of"]

ALL = [recipe.id for recipe in RECIPES]
EACH = pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"])
"""For tests of what all engines do alike."""


def array_of(found: object) -> np.ndarray:
    """An answer of a model with one output."""
    assert isinstance(found, np.ndarray)
    return found


def scores_of(session: Session, x: object, *, batch_size: int = 32) -> np.ndarray:
    """What `predict` gives for a model with one output."""
    return array_of(session.predict(x, batch_size=batch_size))


def resident_mb() -> float:
    """Memory that this process holds, after what Python can let go of."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
