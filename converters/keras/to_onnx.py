"""Conversion of Keras 2 and Keras 3 models to ONNX."""

from __future__ import annotations

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TraceableSource
from edgeml.core.recipe import Recipe
from edgeml.core.system.machine import installed_version
from edgeml.quantization.onnx_precision import onnx_artifact

from ..tensorflow.to_onnx import graph_to_onnx, with_batch
from .to_function import keras_to_graph, keras_version

__all__ = ["convert"]


def convert(source: TraceableSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Convert a Keras model with tf2onnx, in the precision of the recipe."""
    model = job.models.once("onnx", lambda: graph_to_onnx(keras_to_graph(source), job.batch))
    return onnx_artifact(
        model,
        recipe,
        job,
        with_batch(source.info.signature, job.batch),
        (keras_version(source), f"tf2onnx {installed_version('tf2onnx')}"),
    )
