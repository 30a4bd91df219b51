"""Artifacts from an existing TFLite file: as it is, or quantized from float32."""

from __future__ import annotations

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TfliteSource, size_steps
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import Recipe

from .quantized import QUANTIZED, quantize

__all__ = ["convert"]


def convert(source: TfliteSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Return the file unchanged, if the recipe matches its precision; else a float32 file quantized.

    Raises:
        UnsupportedModelError: A file of the recipe cannot be made, or the requested batch size differs from the file's.
        MissingDependencyError: litert-quantizer is not installed.
        ConversionError: litert-quantizer failed.
    """
    file = source.model
    if recipe.precision != file.precision and (file.precision != "fp32" or recipe.precision not in QUANTIZED):
        quantized = f", and can be quantized to {', '.join(QUANTIZED)} alone" if file.precision == "fp32" else ""
        raise UnsupportedModelError(
            f"The file is tflite-{file.precision}; a TFLite file is packaged as it is{quantized}.",
            fix="build from the model that the file was converted from.",
        )
    if job.batch not in {None, source.batch}:
        raise UnsupportedModelError(
            f"The file has a fixed batch size of {source.batch}; got batch={job.batch}.",
            fix="leave the batch out, or build from the model that the file was converted from.",
        )
    if recipe.precision != file.precision:
        return quantize(source, recipe, job)
    return Artifact(
        recipe.id, source.data, file.signature, file.needs, ("the given .tflite file", *size_steps(source.sizes))
    )
