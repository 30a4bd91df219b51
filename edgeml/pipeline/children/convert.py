"""The converting child's side: holds the loaded source and makes artifacts of it."""

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
    """What is the same for all recipes.

    Attributes:
        framework: As `SourceInfo.framework`.
        model: The saved model.
        folder: For intermediate files.
        batch: Fixed batch of the artifacts, or None.
        trust: Whether the caller trusts whoever made the model with this machine.
    """

    framework: str
    model: Path
    folder: Path
    batch: int | None = None
    trust: bool = False


class Conversion:
    """Lives in a `Worker`, or in a script that reproduces a failure."""

    def __init__(self, settings: ConversionSettings) -> None:
        self._settings = settings
        opener = resolve(SOURCES[settings.framework]).open_source
        self._source: Source = opener(settings.model, trust=settings.trust)
        self._job: ConversionJob | None = None

    def describe(self) -> SourceInfo:
        """What the source says of itself."""
        return self._source.info

    def reference(self, inputs: dict[str, Path]) -> Reference:
        """The source's own answers to the inputs in these ``.npy`` files."""
        return self._source.reference(load_arrays(inputs))

    def convert(self, recipe_id: str, calibration: dict[str, Path]) -> Artifact:
        """Makes one artifact.

        Args:
            recipe_id: By which recipe.
            calibration: ``.npy`` file of float32 ``[samples, ...]`` by input name, the same at each call;
                empty without.

        Raises:
            UnsupportedModelError: The recipe cannot be made honestly for this source.
            ConversionError: A tool failed.
        """
        settings, recipe = self._settings, find_recipe(recipe_id)
        if self._job is None:
            # A fresh folder: what a crashed child left in the last one may be half written.
            folder = Path(tempfile.mkdtemp(dir=settings.folder))
            self._job = ConversionJob(folder, settings.batch, load_arrays(calibration) if calibration else None)
        route = CONVERTERS.get((settings.framework, recipe.format))
        if route is None:
            raise UnsupportedModelError(
                f"There is no way from a file of the format {settings.framework} to {recipe.format}.",
                fix="build from the model that the file was made from.",
            )
        convert = resolve(route)
        artifact: Artifact = convert(self._source, recipe, self._job)
        return artifact


def load_arrays(files: dict[str, Path]) -> dict[str, np.ndarray]:
    """Arrays of ``.npy`` files, mapped rather than read."""
    return {name: np.load(path, mmap_mode="r") for name, path in files.items()}
