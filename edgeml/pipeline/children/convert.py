"""The conversion process: loads the source and converts it to artifacts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, Source
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.tables import CONVERTERS, SOURCES
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.system.imports import resolve
from edgeml.core.system.limits import Limits, limited_memory, limited_time

__all__ = ["Conversion", "ConversionSettings"]

_FRAMEWORK_MB = 1024.0  # of a framework, which is loaded with the model: TensorFlow has 420 MB and its threads
_CONVERSION_MB = 1536.0  # of a small model's conversion by TensorFlow
_CONVERSION_COPIES = 32.0  # of a model during its conversion: graphs, their text, optimized and frozen forms
_ACTIVATIONS = 64.0  # activations of all calibration samples, in sizes of the samples
_SLACK = 10.0  # times the first batch's time that later ones may take on average: other work may disturb them


class ConversionSettings(Struct, frozen=True):
    """Settings of a conversion that all recipes share.

    Attributes:
        framework: See `SourceInfo.framework`.
        model: Path of the saved model.
        folder: Folder for intermediate files.
        batch: Fixed batch size of the artifacts, or None.
        trust: Allow models that can run code on this machine.
        limits: Limits of the source's memory and of its run.
    """

    framework: str
    model: Path
    folder: Path
    batch: int | None = None
    trust: bool = False
    limits: Limits = Limits()


class Conversion:
    """A conversion, running in a `Worker` or in a script that reproduces a failure."""

    def __init__(self, settings: ConversionSettings) -> None:
        self._settings = settings
        open_source = resolve(SOURCES[settings.framework]).open_source
        with limited_memory(self._memory_mb({}) + _FRAMEWORK_MB):
            self._source: Source = open_source(settings.model, trust=settings.trust)
        self._job: ConversionJob | None = None

    def describe(self) -> SourceInfo:
        """Return the description of the source."""
        return self._source.info

    def reference(self, inputs: dict[str, Path]) -> Reference:
        """Run the source on inputs from ``.npy`` files; return its outputs.

        The first batch runs by itself under the time limit, and shows how much time all of them may take.
        """
        arrays, timeout_s = load_arrays(inputs), self._settings.limits.timeout_s
        size = self._source.info.signature.inputs[0].shape[0] or 1
        batches = max(map(len, arrays.values())) / size
        begun = perf_counter()
        with limited_memory(self._memory_mb(inputs)):
            with limited_time(timeout_s):
                self._source.reference({name: array[:size] for name, array in arrays.items()})
            with limited_time(timeout_s + _SLACK * batches * (perf_counter() - begun)):
                return self._source.reference(arrays)

    def convert(self, recipe_id: str, calibration: dict[str, Path]) -> Artifact:
        """Convert the source by one recipe.

        Args:
            recipe_id: Id of the recipe.
            calibration: ``.npy`` files of float32 ``[samples, ...]`` by input name, the same in each call; empty
                without calibration samples.

        Raises:
            UnsupportedModelError: The recipe does not support this source.
            ConversionError: A conversion tool failed.
        """
        settings, recipe = self._settings, find_recipe(recipe_id)
        if self._job is None:
            # A new folder, since a crashed process may have left incomplete files in the last one.
            folder = Path(tempfile.mkdtemp(dir=settings.folder))
            self._job = ConversionJob(folder, settings.batch, load_arrays(calibration) if calibration else None)
        converter = CONVERTERS.get((settings.framework, recipe.format))
        if converter is None:
            raise UnsupportedModelError(
                f"Converting .{settings.framework} files to {recipe.format} is not supported.",
                fix="build from the model that the file was converted from.",
            )
        convert = resolve(converter)
        with limited_memory(self._memory_mb(calibration)):
            artifact: Artifact = convert(self._source, recipe, self._job)
        return artifact

    def _memory_mb(self, data: dict[str, Path]) -> float:
        """Return the memory limit for work on the source with data from files."""
        settings = self._settings
        if settings.limits.memory_mb is not None:
            return settings.limits.memory_mb
        files = settings.model.rglob("*") if settings.model.is_dir() else (settings.model,)
        model_bytes, data_bytes = (sum(file.stat().st_size for file in some) for some in (files, data.values()))
        return _CONVERSION_MB + (_CONVERSION_COPIES * model_bytes + _ACTIVATIONS * data_bytes) / 2**20


def load_arrays(files: dict[str, Path]) -> dict[str, np.ndarray]:
    """Map the arrays of ``.npy`` files into memory."""
    return {name: np.load(path, mmap_mode="r") for name, path in files.items()}
