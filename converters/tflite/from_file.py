"""An existing TFLite file as the artifact that it is."""

from __future__ import annotations

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TfliteSource
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import Recipe

__all__ = ["convert"]


def convert(source: TfliteSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """The file, byte for byte, where the recipe is its own precision.

    Raises:
        UnsupportedModelError: The recipe is another, or another batch is asked for.
    """
    file = source.model
    if recipe.precision != file.precision:
        raise UnsupportedModelError(
            f"The file is tflite-{file.precision}, and a TFLite file is packaged as it is.",
            fix="build from the model that it was made from.",
        )
    if job.batch not in {None, source.batch}:
        raise UnsupportedModelError(
            f"The file has a batch of {source.batch}, not of {job.batch}.",
            fix="leave the batch out, or build from the model that it was made from.",
        )
    return Artifact(recipe.id, source.data, file.signature, file.needs, ("the given .tflite file",))
