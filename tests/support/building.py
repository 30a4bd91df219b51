"""Builds a package from files and saves it, as a user's script would; the tests start it, and interrupt it.

Prints the number of each step as it begins.

Usage: python -m tests.support.building MODEL DATA.npz OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import edgeml

__all__ = ["RECIPES", "build_from_files"]

RECIPES = ("tflite-int8", "onnx-int8")


def build_from_files(model: Path, data: Path) -> edgeml.Package:
    """A package of two recipes; `data` holds calibration, evaluation and labels."""
    arrays = np.load(data)
    return edgeml.build(
        model,
        name="digits",
        version="1.0.0",
        calibration=arrays["calibration"],
        evaluation=(arrays["evaluation"], arrays["labels"]),
        recipes=RECIPES,
        progress=lambda step: print(step.done, flush=True),  # noqa: T201  # a script
    )


if __name__ == "__main__":
    build_from_files(Path(sys.argv[1]), Path(sys.argv[2])).save(sys.argv[3])
