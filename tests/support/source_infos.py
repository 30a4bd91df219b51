"""Descriptions of sources that are there without a model, and samples for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.source import SourceInfo, Task
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["PLAIN", "SIGMOID", "SOFTMAX", "X", "Y", "source_info"]

X = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
Y = np.arange(12) % 3


def source_info(
    *outputs: int,
    task: Task | None = None,
    decision: Decision | None = None,
    framework: Any = "keras",
    inputs: dict[str, int] | None = None,
) -> SourceInfo:
    """A source with outputs of so many values."""
    meaning: Any = "scores" if decision else "values"
    takes = tuple(TensorSpec(name, (None, size), "float32") for name, size in (inputs or {"x": 4}).items())
    gives = tuple(
        TensorSpec(f"y{i}" if i else "y", (None, size), "float32", meaning=meaning) for i, size in enumerate(outputs)
    )
    return SourceInfo(framework, "Functional", Signature(takes, gives), task, decision, "sha256:" + "0" * 64, {})


SOFTMAX = source_info(3, task="classification", decision=Decision((0, 1, 2)))
SIGMOID = source_info(1, task="classification", decision=Decision((0, 1), threshold=0.5))
PLAIN = source_info(3)
