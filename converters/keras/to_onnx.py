"""Keras, of either generation, to ONNX."""

from __future__ import annotations

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TraceableSource
from edgeml.core.recipe import Recipe
from edgeml.core.system.machine import installed_version
from edgeml.quantization.onnx_precision import onnx_artifact

from ..tensorflow.to_onnx import batched, onnx_of_graph
from .to_function import graph_of_keras, keras_of

__all__ = ["convert"]


def convert(source: TraceableSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Traces the model, converts the trace by tf2onnx, and gives it the recipe's precision."""
    model = job.models.once("onnx", lambda: onnx_of_graph(graph_of_keras(source), job.batch))
    return onnx_artifact(
        model,
        recipe,
        job,
        batched(source.info.signature, job.batch),
        (keras_of(source), f"tf2onnx {installed_version('tf2onnx')}"),
    )
