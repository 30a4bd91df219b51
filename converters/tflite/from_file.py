"""Artifacts from an existing TFLite file, as it is."""

from __future__ import annotations

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TfliteSource, fixed_sizes
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import Recipe

__all__ = ["convert"]


def convert(source: TfliteSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Return the file unchanged, if the recipe matches its precision.

    Raises:
        UnsupportedModelError: The recipe or the requested batch size differs from those of the file.
    """
    file = source.model
    if recipe.precision != file.precision:
        raise UnsupportedModelError(
            f"The file is tflite-{file.precision}; a TFLite file is packaged as it is.",
            fix="build from the model that the file was converted from.",
        )
    if job.batch not in {None, source.batch}:
        raise UnsupportedModelError(
            f"The file has a fixed batch size of {source.batch}; got batch={job.batch}.",
            fix="leave the batch out, or build from the model that the file was converted from.",
        )
    return Artifact(
        recipe.id, source.data, file.signature, file.needs, ("the given .tflite file", *fixed_sizes(source.sizes))
    )
