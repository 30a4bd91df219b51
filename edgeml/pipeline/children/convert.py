"""The conversion process: loads the source and converts it to artifacts."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, Source
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.tables import CONVERTERS, SOURCES
from edgeml.core.source import FILES, Probes, Reference, SourceInfo
from edgeml.core.system.imports import resolve
from edgeml.core.system.limits import Limits, limited_memory, limited_time
from edgeml.sources.onnx_weights import weight_files
from edgeml.sources.states import StateOption

__all__ = ["Conversion", "ConversionSettings"]

_FRAMEWORK_MB = 1024.0  # of a framework, which is loaded with the model: TensorFlow has 420 MB and its threads
_CONVERSION_MB = 1536.0  # of a small model's conversion by TensorFlow
_CONVERSION_COPIES = 64.0  # of a model: ResNet50, 98 MB, with 100 samples of 224 pixels took 5.5 GB for int8
_ACTIVATIONS = 128.0  # activations of all calibration samples, in sizes of the samples
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
        sizes: See `ModelFile.sizes`.
        stateful: See `ModelFile.stateful`.
        saved: See `ModelFile.saved`.
    """

    framework: str
    model: Path
    folder: Path
    batch: int | None = None
    trust: bool = False
    limits: Limits = Limits()
    sizes: dict[str, int | tuple[int, ...]] = {}
    stateful: StateOption = None
    saved: bool = False


class Conversion:
    """A conversion, running in a `Worker` or in a script that reproduces a failure."""

    def __init__(self, settings: ConversionSettings) -> None:
        self._settings = settings
        open_source = resolve(SOURCES[settings.framework]).open_source
        options: dict[str, object] = {}
        if settings.framework in FILES:
            options = {"sizes": settings.sizes, "stateful": settings.stateful}
        elif settings.framework == "sklearn":
            options = {"saved": settings.saved}
        with self._limited_memory({}, _FRAMEWORK_MB):
            self._source: Source = open_source(settings.model, trust=settings.trust, **options)
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
        with self._limited_memory(inputs):
            with limited_time(timeout_s):
                self._source.reference({name: array[:size] for name, array in arrays.items()})
            with limited_time(timeout_s + _SLACK * batches * (perf_counter() - begun)):
                return self._source.reference(arrays)

    def run_batches(self, inputs: dict[str, Path], batches: list[list[int]]) -> list[dict[str, np.ndarray]]:
        """Run the source on batches of samples from ``.npy`` files, each in one call; return the outputs of each."""
        arrays = load_arrays(inputs)
        with self._limited_memory(inputs), limited_time(self._settings.limits.timeout_s * len(batches)):
            return self._source.run_batches(
                [{name: array[batch] for name, array in arrays.items()} for batch in batches]
            )

    def compared_columns(self) -> dict[str, tuple[int, ...]]:
        """Return the columns, by input name, that the source compares with thresholds of its own."""
        return self._source.compared_columns()

    def probes(self, inputs: dict[str, Path]) -> Probes:
        """Return inputs made from the source itself, with its outputs.

        Args:
            inputs: ``.npy`` files of the judged data, by input name.
        """
        with self._limited_memory(inputs):
            return self._source.probes(load_arrays(inputs))

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
        with self._limited_memory(calibration):
            artifact: Artifact = convert(self._source, recipe, self._job)
        return artifact

    @contextlib.contextmanager
    def _limited_memory(self, data: dict[str, Path], more_mb: float = 0.0) -> Iterator[None]:
        """Limit the memory for work on the source.

        Args:
            data: Files with the data, whose size counts.
            more_mb: Memory in addition to the limit.

        Raises:
            UnsupportedModelError: The limit does not suffice.
        """
        model, memory_mb = self._settings.model, self._settings.limits.memory_mb
        if memory_mb is None:
            files = (model, *model.glob("*"), *model.glob("variables/*"))
            if self._settings.framework == "onnx":
                files = (model, *weight_files(model))
            model_bytes = sum(file.lstat().st_size for file in files)
            data_bytes = sum(file.stat().st_size for file in data.values())
            memory_mb = _CONVERSION_MB + (_CONVERSION_COPIES * model_bytes + _ACTIVATIONS * data_bytes) / 2**20
        try:
            with limited_memory(memory_mb + more_mb):
                yield
        except MemoryError as error:
            raise UnsupportedModelError(
                f"{model.name} needs more memory than its limit of {memory_mb:,.0f} MB. {error}".strip(),
                fix="if the model is known to need it, allow more: memory_mb= (--memory on the command line).",
            ) from error


def load_arrays(files: dict[str, Path]) -> dict[str, np.ndarray]:
    """Map the arrays of ``.npy`` files into memory."""
    return {name: np.load(path, mmap_mode="r") for name, path in files.items()}
