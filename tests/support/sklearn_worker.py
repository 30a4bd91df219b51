"""Converts scikit-learn models by way of TensorFlow in a worker: it keeps TensorFlow out of the tests' process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.tables import CONVERTERS
from edgeml.core.system.imports import resolve
from edgeml.sources.sklearn import open_source

__all__ = ["SklearnWorker", "SklearnWorkerSettings"]


class SklearnWorkerSettings(Struct, frozen=True):
    """Where intermediate files go."""

    folder: Path


class SklearnWorker:
    """Runs in a child process."""

    def __init__(self, settings: SklearnWorkerSettings) -> None:
        import gc

        import tensorflow as tf  # noqa: F401

        self._folder = settings.folder
        self._jobs = 0
        gc.freeze()  # the TFLite converter collects garbage at each call, and would go through all of TensorFlow

    def convert(
        self, path: Path, recipes: list[str], calibration: dict[str, np.ndarray], batch: int, trust: bool
    ) -> list[Artifact]:
        """Artifacts of a model in one job, as a build makes them; a batch of 0 is the format's own."""
        self._jobs += 1
        folder = self._folder / f"job-{self._jobs}"
        folder.mkdir()
        job = ConversionJob(folder, batch or None, calibration or None)
        source: Any = open_source(path, trust=trust)
        found = [find_recipe(recipe) for recipe in recipes]
        return [resolve(CONVERTERS["sklearn", recipe.format])(source, recipe, job) for recipe in found]
