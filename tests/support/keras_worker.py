"""Converts Keras models in a worker by several recipes in one job, and makes the nets of `benchmarks` there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.tables import CONVERTERS
from edgeml.core.system.imports import resolve
from tests.support.extreme_values import Operators, float_operators, integer_operators, row_operators
from tests.support.keras_models import KerasModels, KerasModelsSettings
from tests.support.scripts import benchmark

__all__ = ["KerasWorker", "Net"]


class Net(msgspec.Struct, frozen=True):
    """As `Made` of ``benchmarks/keras_applications.py``."""

    model: Path
    images: np.ndarray
    parameters: int
    zeros_db: float
    finite: bool


class KerasWorker(KerasModels):
    """Runs in a child process."""

    def __init__(self, settings: KerasModelsSettings) -> None:
        import gc

        super().__init__(settings)
        self._sources: dict[Path, Any] = {}
        gc.freeze()  # the TFLite converter collects garbage at each call, and would go through all of TensorFlow

    def convert_together(
        self, path: Path, recipes: list[str], calibration: dict[str, np.ndarray], batch: int
    ) -> list[Artifact]:
        """Artifacts of a model in one new job; a batch of 0 is the format's own."""
        self._jobs += 1
        folder = self._folder / f"job-{self._jobs}"
        folder.mkdir()
        job = ConversionJob(folder, batch or None, calibration or None)
        found = [find_recipe(recipe) for recipe in recipes]
        source = self._source(path)
        return [resolve(CONVERTERS["keras", recipe.format])(source, recipe, job) for recipe in found]

    def make_net(self, name: str, size: int, folder: Path) -> Net:
        """A net of `keras.applications` with seeded weights, and images for it."""
        made = benchmark("keras_applications").make(name, size, folder)
        return Net(made.model, made.images, made.parameters, made.zeros_db, made.finite)

    def _source(self, path: Path) -> Any:
        if path not in self._sources:
            self._sources[path] = super()._source(path)
        return self._sources[path]

    def _functions(self) -> Any:
        """Of operators for which tf2onnx has our handlers alone."""
        keras, layers = self._keras, self._keras.layers
        x = keras.Input((16,), name="x")
        outputs = [
            keras.ops.expm1(x),
            layers.Dense(8, activation="gelu", name="gelu")(x),
            keras.ops.cast(layers.Discretization([-1.0, 0.0, 0.5])(x), "float32"),
        ]
        return keras.Model(x, outputs)

    def _float_extremes(self) -> Any:
        return self._outputs_of((1,), "float32", float_operators(self._keras))

    def _integer_extremes(self) -> Any:
        return self._outputs_of((1,), "int32", integer_operators(self._keras))

    def _row_extremes(self) -> Any:
        return self._outputs_of((8,), "float32", row_operators(self._keras))

    def _outputs_of(self, shape: tuple[int, ...], dtype: str, operators: Operators) -> Any:
        """Of one output per operator."""
        keras = self._keras
        x = keras.Input(shape, dtype=dtype, name="x")
        return keras.Model(x, {name: keras.ops.cast(operator(x), "float32") for name, operator in operators.items()})

    def _lookup(self) -> Any:
        """Of a table to look numbers up in."""
        keras, layers = self._keras, self._keras.layers
        x = keras.Input((4,), dtype="int64", name="x")
        return keras.Model(x, keras.ops.cast(layers.IntegerLookup(vocabulary=[3, 5, 9])(x), "float32"))
