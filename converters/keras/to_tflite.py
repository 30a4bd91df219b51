"""Keras, of either generation, to TFLite."""

from __future__ import annotations

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TraceableSource
from edgeml.core.recipe import Recipe

from ..tensorflow.to_tflite import tflite_artifact
from .to_function import graph_of_keras, keras_of

__all__ = ["convert"]


def convert(source: TraceableSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Traces the model and converts the trace. Raises UnsupportedModelError for operators TFLite lacks."""
    return tflite_artifact(graph_of_keras(source), recipe, job, (keras_of(source),))
