"""Keras model to TensorFlow function."""

from __future__ import annotations

from typing import Any

from edgeml.core.source import TraceableSource

from .graph import Graph

__all__ = ["graph_of_keras", "keras_of"]


def graph_of_keras(source: TraceableSource) -> Graph:
    """The model as a function of its inputs, in inference mode."""
    signature = source.info.signature

    def function(*inputs: Any) -> dict[str, Any]:
        outputs = source.call(list(inputs))
        return {spec.name: output for spec, output in zip(signature.outputs, outputs, strict=True)}

    return Graph(function, signature)


def keras_of(source: TraceableSource) -> str:
    """Name and version of the Keras that made the model run, for the lineage."""
    name = "tf-keras" if source.info.framework == "tf_keras" else "keras"
    return f"{name} {source.info.versions[name]}"
