"""The conversion process: loads the source and converts it to artifacts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, Source
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.tables import CONVERTERS, SOURCES
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.system.imports import resolve

__all__ = ["Conversion", "ConversionSettings"]


class ConversionSettings(Struct, frozen=True):
    """Settings of a conversion that all recipes share.

    Attributes:
        framework: See `SourceInfo.framework`.
        model: Path of the saved model.
        folder: Folder for intermediate files.
        batch: Fixed batch size of the artifacts, or None.
        trust: Allow models that can run code on this machine.
    """

    framework: str
    model: Path
    folder: Path
    batch: int | None = None
    trust: bool = False


class Conversion:
    """A conversion, running in a `Worker` or in a script that reproduces a failure."""

    def __init__(self, settings: ConversionSettings) -> None:
        self._settings = settings
        open_source = resolve(SOURCES[settings.framework]).open_source
        self._source: Source = open_source(settings.model, trust=settings.trust)
        self._job: ConversionJob | None = None

    def describe(self) -> SourceInfo:
        """Return the description of the source."""
        return self._source.info

    def reference(self, inputs: dict[str, Path]) -> Reference:
        """Run the source on inputs from ``.npy`` files; return its outputs."""
        return self._source.reference(load_arrays(inputs))

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
        artifact: Artifact = convert(self._source, recipe, self._job)
        return artifact


def load_arrays(files: dict[str, Path]) -> dict[str, np.ndarray]:
    """Map the arrays of ``.npy`` files into memory."""
    return {name: np.load(path, mmap_mode="r") for name, path in files.items()}
