"""The description that models of Keras 2 and Keras 3 share: signature, digest, reference outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.source import Reference
from edgeml.core.tensors import Signature, TensorSpec, plain_name

__all__ = ["model_digest", "reference_of", "signature_of"]

_BATCH = 32  # of the reference, as in Keras's own predict


def signature_of(inputs: Iterable[Any], outputs: Iterable[tuple[str, Any]]) -> Signature:
    """Return the signature of a model.

    Args:
        inputs: Symbolic inputs of the model.
        outputs: Outputs, symbolic or computed, with the names that the model has for them.

    Raises:
        UnsupportedModelError: Another size than the batch is not fixed.
    """
    used_names: set[str] = set()
    input_specs = tuple(
        TensorSpec(plain_name(tensor.name, used_names), _shape(tensor.name, tensor.shape), "float32")
        for tensor in inputs
    )
    output_specs = tuple(
        TensorSpec(plain_name(name, used_names), _shape(name, tensor.shape), "float32") for name, tensor in outputs
    )
    return Signature(input_specs, output_specs)


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


def reference_of(
    signature: Signature, call: Callable[[list[Any]], list[Any]], inputs: dict[str, np.ndarray]
) -> Reference:
    """Return a model's own outputs, computed in batches of 32.

    Args:
        signature: Signature of the model.
        call: The model in inference mode, from a flat list of inputs to a flat list of outputs.
        inputs: float32 arrays ``[samples, ...]`` in the signature's order.
    """
    arrays = list(inputs.values())
    names = [spec.name for spec in signature.outputs]
    starts = range(0, len(arrays[0]), _BATCH)
    batches = [call([array[start : start + _BATCH] for array in arrays]) for start in starts]
    columns = zip(*batches, strict=True)
    return Reference(
        {
            name: np.concatenate([np.asarray(part, dtype=np.float32) for part in column])
            for name, column in zip(names, columns, strict=True)
        }
    )
