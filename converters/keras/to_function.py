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
# LSTM and GRU of Keras 2 ignore `unroll` where they may run in a fused kernel.
_UNROLLED = {"unroll": True, "_could_use_gpu_kernel": False}
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
    shape = next((shape for shape in _shapes(layer.get_build_config()) if len(shape) > 2), None)
    return int(shape[1]) if shape and shape[1] else _MAX_UNROLLED_STEPS + 1


def _shapes(config: Any) -> Iterator[tuple[int | None, ...]]:
    """Yield the shapes that a layer was built for: of the sequence, then of the states that it is called with."""
    if isinstance(config, dict):
        config = list(config.values())
    if not isinstance(config, list | tuple):
        return
    if all(size is None or isinstance(size, int) for size in config):
        yield tuple(config)
    else:
        for part in config:
            yield from _shapes(part)


@contextmanager
def _unroll(layers: list[Any]) -> Iterator[None]:
    changes = [(layer, name, value) for layer in layers for name, value in _UNROLLED.items() if hasattr(layer, name)]
    before = [getattr(layer, name) for layer, name, _ in changes]
    for layer, name, value in changes:
        setattr(layer, name, value)
    try:
        yield
    finally:
        for (layer, name, _), value in zip(changes, before, strict=True):
            setattr(layer, name, value)


def keras_version(source: TraceableSource) -> str:
    """Return name and version of the Keras package that runs the model, for the lineage."""
    name = "tf-keras" if source.info.framework == "tf_keras" else "keras"
    return f"{name} {source.info.versions[name]}"
