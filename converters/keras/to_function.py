"""Keras models as TensorFlow functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgeml.core.conversion import TraceableSource

from ..tensorflow.function import Graph

__all__ = ["keras_to_graph", "keras_version"]

# Each unrolled step adds its operators to the file, about 20 for an LSTM.
_MAX_UNROLLED_STEPS = 128
_BYTE_DTYPES = {"uint8", "int8"}  # image and audio samples, which fit in 8 bits


def keras_to_graph(source: TraceableSource) -> Graph:
    """Convert a Keras model to a graph in inference mode."""
    signature = source.info.signature
    recurrent = _recurrent_layers(source.model)

    def function(*inputs: Any) -> dict[str, Any]:
        outputs = source.call(list(inputs))
        return {spec.name: output for spec, output in zip(signature.outputs, outputs, strict=True)}

    def unrolled(*inputs: Any) -> dict[str, Any]:
        with _unroll(recurrent):
            return function(*inputs)

    steps = sum(_sequence_length(layer) for layer in recurrent)
    integer_inputs = [
        spec.name
        for spec, tensor in zip(signature.inputs, source.model.inputs, strict=True)
        if spec.name in source.info.whole_inputs and _dtype(tensor) not in _BYTE_DTYPES
    ]
    return Graph(function, signature, unrolled if 0 < steps <= _MAX_UNROLLED_STEPS else None, frozenset(integer_inputs))


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def _recurrent_layers(model: Any) -> list[Any]:
    """Return the layers that process a sequence step by step, also those inside wrappers and nested models."""
    layers = model._flatten_layers(include_self=False, recursive=True)  # noqa: SLF001  # no public way
    return [layer for layer in layers if hasattr(layer, "unroll")]


def _sequence_length(layer: Any) -> int:
    """Return the length of a layer's sequence, or more than the limit of unrolling if unknown."""
    shapes = layer.get_build_config() or {}
    shape = next((shape for shape in shapes.values() if isinstance(shape, list | tuple) and len(shape) > 2), None)
    return int(shape[1]) if shape and shape[1] else _MAX_UNROLLED_STEPS + 1


@contextmanager
def _unroll(layers: list[Any]) -> Iterator[None]:
    before = [layer.unroll for layer in layers]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer, unroll in zip(layers, before, strict=True):
            layer.unroll = unroll


def keras_version(source: TraceableSource) -> str:
    """Return name and version of the Keras package that runs the model, for the lineage."""
    name = "tf-keras" if source.info.framework == "tf_keras" else "keras"
    return f"{name} {source.info.versions[name]}"
