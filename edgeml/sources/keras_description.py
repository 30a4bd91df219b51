"""The description that models of Keras 2 and Keras 3 share: signature, digest, traced graph."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.integer_paths import used_as_integers
from edgeml.core.tensors import DType, Signature, TensorSpec, plain_name

__all__ = [
    "check_text_inputs",
    "computes_as_graph",
    "keys_or_names",
    "model_digest",
    "output_dtype",
    "signature_of",
    "token_inputs",
    "traced",
]

# Dtypes in the signature by those of the model, where they are not float32. Inputs of 8 bits, which float32 represents
# exactly, are not among these; TFLite and ONNX runtimes do not support unsigned integers of more bits.
_INPUTS: Mapping[str, DType] = MappingProxyType(
    {"int16": "int32", "uint16": "int32", "int32": "int32", "uint32": "int64", "int64": "int64", "uint64": "int64"}
)
_OUTPUTS: Mapping[str, DType] = MappingProxyType(
    {**_INPUTS, "int16": "int16", "int8": "int8", "uint8": "uint8", "bool": "bool"}
)


def computes_as_graph(model: Any) -> bool:
    """Return whether a model in memory is of a class of the caller's own, but computes what its graph of layers does.

    Such a class changes the training, and a file of it could not be loaded without it.
    """
    kinds = type(model).__mro__
    packages = [
        next(kind.__module__ for kind in kinds if method in vars(kind)).partition(".")[0]
        for method in ("__call__", "call")
    ]
    return kinds[0].__module__.partition(".")[0] != packages[0] and set(packages) <= {"keras", "tf_keras"}


def check_text_inputs(model: Any, flatten: Callable[[Any], list[Any]]) -> None:
    """Check that a model takes numbers alone.

    Args:
        model: The model.
        flatten: Function of its generation of Keras from a structure of tensors to a list.

    Raises:
        UnsupportedModelError: The model takes text; the fix is the model behind the layers that look the text up.
    """
    texts = [tensor for tensor in model.inputs if _is_text(tensor)]
    if not texts:
        return
    starts = [tensor.name for tensor in model.inputs if not _is_text(tensor)] + _text_layers(model, flatten)
    outputs = ", ".join(f"model.get_layer({name!r}).output" for name in starts)
    raise UnsupportedModelError(
        f"The model '{model.name}' takes text in '{texts[0].name}': text inputs of Keras models are not supported.",
        fix=f"keep the layers that turn text into numbers outside: build from keras.Model([{outputs}], model.outputs), "
        "and pass the numbers that these layers give.",
    )


def _text_layers(model: Any, flatten: Callable[[Any], list[Any]]) -> list[str]:
    """Return the names of the layers that turn text into numbers."""
    names = []
    for layer in model.layers:
        try:
            before, after = flatten(layer.input), flatten(layer.output)
        except (AttributeError, ValueError):  # of a layer that is called several times
            continue
        if any(map(_is_text, before)) and not any(map(_is_text, after)):
            names.append(layer.name)
    return names


def _is_text(tensor: Any) -> bool:
    return str(getattr(tensor.dtype, "name", tensor.dtype)) == "string"


def keys_or_names(paths: Iterable[tuple[Any, ...]], names: Iterable[str]) -> list[str]:
    """Return the names by which a model takes its inputs or gives its outputs.

    Args:
        paths: For each tensor its keys and positions in the structure of dicts and lists that the model takes or gives.
        names: Names of the tensors' layers, by which the model knows those outside of dicts.
    """
    joined = ["_".join(key for key in path if isinstance(key, str)) for path in paths]
    return [keys or name for keys, name in zip(joined, names, strict=True)]


def signature_of(inputs: Iterable[tuple[str, Any]], outputs: Iterable[tuple[str, Any]]) -> Signature:
    """Return the signature of a model.

    Args:
        inputs: Symbolic inputs, with the names that the model has for them.
        outputs: Outputs, symbolic or computed, with the names that the model has for them.

    Raises:
        UnsupportedModelError: Another size than the batch is not fixed.
    """
    used_names: set[str] = set()
    input_specs = tuple(
        TensorSpec(plain_name(name, used_names), _shape(name, tensor.shape), _INPUTS.get(_name(tensor), "float32"))
        for name, tensor in inputs
    )
    output_specs = tuple(
        TensorSpec(plain_name(name, used_names), _shape(name, tensor.shape), output_dtype(_name(tensor)))
        for name, tensor in outputs
    )
    return Signature(input_specs, output_specs)


def output_dtype(name: str) -> DType:
    """Return the dtype in the signature of an output of a model, by the name of its own dtype."""
    return _OUTPUTS.get(name, "float32")


def _name(tensor: Any) -> str:
    """Return the name of a tensor's dtype."""
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def _shape(name: str, sizes: Iterable[int | None]) -> tuple[int | None, ...]:
    shape = tuple(sizes)
    if not shape or any(size is None for size in shape[1:]):
        raise UnsupportedModelError(
            f"Tensor '{name}' has the shape {list(shape)}: only the batch may be None.",
            fix="fix the other sizes in keras.Input.",
        )
    return (None, *(int(size) for size in shape[1:] if size is not None))


def model_digest(config: dict[str, Any], weights: Iterable[tuple[str, Any]]) -> str:
    """Return ``sha256:…`` of all that inference depends on: the layers' configuration and the named weights.

    The way the model was compiled does not count.
    """
    config = {key: value for key, value in config.items() if key not in {"compile_config", "build_config"}}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, weight in weights:
        array = np.ascontiguousarray(weight.numpy())
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"


def token_inputs(signature: Signature, graph: Any) -> list[str]:
    """Return the names of the float inputs that a model casts to integers, such as token numbers for an embedding.

    Args:
        signature: Signature of the model.
        graph: The model's graph of `traced`.
    """
    inputs = graph.inputs[: len(signature.inputs)]
    names = {tensor.name for tensor in used_as_integers(inputs, graph.outputs)}
    pairs = zip(signature.inputs, inputs, strict=True)
    return [spec.name for spec, tensor in pairs if spec.dtype == "float32" and tensor.name in names]


def traced(signature: Signature, call: Callable[[list[Any]], list[Any]], batch: int = 1) -> Any:
    """Return a model's graph for one batch, as a `tf.Graph`.

    Args:
        signature: Signature of the model.
        call: The model in inference mode, from a flat list of inputs to a flat list of outputs.
        batch: Number of samples.
    """
    import tensorflow as tf

    inputs = [tf.TensorSpec((batch, *spec.shape[1:]), spec.dtype) for spec in signature.inputs]
    return tf.function(lambda *tensors: call(list(tensors))).get_concrete_function(*inputs).graph
