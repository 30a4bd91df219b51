"""Keras model to TensorFlow function."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgeml.core.conversion import TraceableSource

from ..tensorflow.function import Graph

__all__ = ["graph_of_keras", "keras_of"]

# Each step adds its operators to the file, some 20 of an LSTM.
_MOST_STEPS = 128
_BYTES = {"uint8", "int8"}  # of pictures and sound, whose values 8 bits hold


def graph_of_keras(source: TraceableSource) -> Graph:
    """The model as a function of its inputs, in inference mode."""
    signature = source.info.signature
    recurrent = _recurrent(source.model)

    def function(*inputs: Any) -> dict[str, Any]:
        outputs = source.call(list(inputs))
        return {spec.name: output for spec, output in zip(signature.outputs, outputs, strict=True)}

    def unrolled(*inputs: Any) -> dict[str, Any]:
        with _unrolled(recurrent):
            return function(*inputs)

    steps = sum(_steps(layer) for layer in recurrent)
    whole = [
        spec.name
        for spec, tensor in zip(signature.inputs, source.model.inputs, strict=True)
        if spec.name in source.info.whole_inputs and _dtype(tensor) not in _BYTES
    ]
    return Graph(function, signature, unrolled if 0 < steps <= _MOST_STEPS else None, frozenset(whole))


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def _recurrent(model: Any) -> list[Any]:
    """The layers that go through a sequence step by step, those in wrappers and models within too."""
    layers = model._flatten_layers(include_self=False, recursive=True)  # noqa: SLF001  # no public way
    return [layer for layer in layers if hasattr(layer, "unroll")]


def _steps(layer: Any) -> int:
    """The length of its sequence; more than are unrolled where it does not tell."""
    shapes = layer.get_build_config() or {}
    shape = next((shape for shape in shapes.values() if isinstance(shape, list | tuple) and len(shape) > 2), None)
    return int(shape[1]) if shape and shape[1] else _MOST_STEPS + 1


@contextmanager
def _unrolled(layers: list[Any]) -> Iterator[None]:
    before = [layer.unroll for layer in layers]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer, unroll in zip(layers, before, strict=True):
            layer.unroll = unroll


def keras_of(source: TraceableSource) -> str:
    """Name and version of the Keras that made the model run, for the lineage."""
    name = "tf-keras" if source.info.framework == "tf_keras" else "keras"
    return f"{name} {source.info.versions[name]}"
