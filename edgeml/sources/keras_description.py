"""The description that models of Keras 2 and Keras 3 share: signature, decision, digest, reference outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.integer_paths import used_as_integers
from edgeml.core.source import Reference
from edgeml.core.tensors import DType, Meaning, Signature, TensorSpec, plain_name

__all__ = ["decision_of", "model_digest", "output_dtype", "reference_of", "signature_of", "token_inputs", "traced"]

_BATCH = 32  # of the reference, as in Keras's own predict
# Dtypes in the signature by those of the model, where they are not float32. Inputs of 8 bits, which float32 represents
# exactly, are not among these; TFLite and ONNX runtimes do not support unsigned integers of more bits.
_INPUTS: Mapping[str, DType] = MappingProxyType(
    {"int16": "int32", "uint16": "int32", "int32": "int32", "uint32": "int64", "int64": "int64", "uint64": "int64"}
)
_OUTPUTS: Mapping[str, DType] = MappingProxyType(
    {**_INPUTS, "int16": "int16", "int8": "int8", "uint8": "uint8", "bool": "bool"}
)


def signature_of(inputs: Iterable[Any], outputs: Iterable[tuple[str, Any]], *, scores: bool) -> Signature:
    """Return the signature of a model.

    Args:
        inputs: Symbolic inputs of the model.
        outputs: Outputs, symbolic or computed, with the names that the model has for them.
        scores: Whether a decision reads the output.

    Raises:
        UnsupportedModelError: Another size than the batch is not fixed.
    """
    used_names: set[str] = set()
    meaning: Meaning = "scores" if scores else "values"
    input_specs = tuple(
        TensorSpec(
            plain_name(tensor.name, used_names),
            _shape(tensor.name, tensor.shape),
            _INPUTS.get(_name(tensor), "float32"),
        )
        for tensor in inputs
    )
    output_specs = tuple(
        TensorSpec(
            plain_name(name, used_names),
            _shape(name, tensor.shape),
            output_dtype(_name(tensor)),
            meaning=meaning,
        )
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


def decision_of(activation: str, outputs: list[Any]) -> Decision | None:
    """Return how the model classifies, where its single output is a softmax or one sigmoid; else None."""
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        return None
    units = outputs[0].shape[1]
    if activation == "softmax" and units > 1:
        return Decision(tuple(range(units)), probabilities=True)
    if activation == "sigmoid" and units == 1:
        return Decision((0, 1), threshold=0.5, probabilities=True)
    return None


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
        call: The model, as for `reference_of`.
        batch: Number of samples.
    """
    import tensorflow as tf

    inputs = [tf.TensorSpec((batch, *spec.shape[1:]), spec.dtype) for spec in signature.inputs]
    return tf.function(lambda *tensors: call(list(tensors))).get_concrete_function(*inputs).graph


def reference_of(
    signature: Signature, call: Callable[[list[Any]], list[Any]], inputs: dict[str, np.ndarray]
) -> Reference:
    """Return a model's own outputs, computed in batches of 32.

    Args:
        signature: Signature of the model.
        call: The model in inference mode, from a flat list of inputs to a flat list of outputs.
        inputs: Arrays ``[samples, ...]`` in the signature's order and dtypes.
    """
    arrays = list(inputs.values())
    starts = range(0, len(arrays[0]), _BATCH)
    batches = [call([array[start : start + _BATCH] for array in arrays]) for start in starts]
    columns = zip(*batches, strict=True)
    return Reference(
        {
            spec.name: np.concatenate([np.asarray(part, dtype=spec.dtype) for part in column])
            for spec, column in zip(signature.outputs, columns, strict=True)
        }
    )
