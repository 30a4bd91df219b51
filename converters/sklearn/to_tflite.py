"""Conversion of scikit-learn models to TFLite."""

from __future__ import annotations

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TableSource
from edgeml.core.recipe import Recipe

from ..tensorflow.to_tflite import tflite_artifact
from .to_function import sklearn_to_graph

__all__ = ["convert"]


def convert(source: TableSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Convert a scikit-learn model to TFLite, in the precision of the recipe.

    Raises:
        UnsupportedModelError: A part of the model is not supported, or the precision would change its predictions too
            much.
    """
    graph, job = sklearn_to_graph(source, recipe, job)
    return tflite_artifact(graph, recipe, job, (f"scikit-learn {source.info.versions['scikit-learn']}",))
