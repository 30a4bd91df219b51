"""scikit-learn to TFLite."""

from __future__ import annotations

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TableSource
from edgeml.core.recipe import Recipe

from ..tensorflow.to_tflite import tflite_artifact
from .to_function import sklearn_to_graph

__all__ = ["convert"]


def convert(source: TableSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Rebuilds the model of stages and converts that. Raises UnsupportedModelError for other models."""
    graph, job = sklearn_to_graph(source, recipe, job)
    return tflite_artifact(graph, recipe, job, (f"scikit-learn {source.info.versions['scikit-learn']}",))
