"""Conversion of Keras 2 and Keras 3 models to TFLite."""

from __future__ import annotations

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TraceableSource
from edgeml.core.recipe import Recipe

from ..tensorflow.to_tflite import tflite_artifact
from .to_function import keras_to_graph, keras_version

__all__ = ["convert"]


def convert(source: TraceableSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Convert a Keras model to TFLite, in the precision of the recipe.

    Raises:
        ConversionError: TFLite does not support one of the model's operators.
        UnsupportedModelError: The recipe does not support the model, or would not change it.
    """
    return tflite_artifact(keras_to_graph(source), recipe, job, (keras_version(source),))
