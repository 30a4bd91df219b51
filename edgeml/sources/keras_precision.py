"""Models of Keras 2 and Keras 3 that compute in another precision than float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

__all__ = ["cast_to_float32", "computes"]

_DTYPES = {"float16", "bfloat16", "float64"}
_POLICY_CLASSES = {"DTypePolicy", "Policy"}  # of Keras 3 and Keras 2
_POLICIES = {*_DTYPES, "mixed_float16", "mixed_bfloat16"}


def computes(model: Any) -> str:
    """Return the names of the dtype policies of layers that do not compute in float32; empty if all do."""
    layers = model._flatten_layers(include_self=False, recursive=True)  # noqa: SLF001  # no public way
    policies = {layer.dtype_policy.name for layer in layers if layer.compute_dtype in _DTYPES}
    return ", ".join(sorted(policies))


def cast_to_float32(model: Any, serialize: Callable[[Any], Any], deserialize: Callable[[Any], Any]) -> Any:
    """Return the same model with the same weights, all in float32.

    Args:
        model: The model.
        serialize: Function of its generation of Keras from a model to its configuration.
        deserialize: Function from a configuration to a model without its weights.

    Raises:
        UnsupportedModelError: Keras cannot rebuild the model from its configuration.
    """
    try:
        rebuilt = deserialize(_replace_policies(serialize(model)))
        rebuilt.set_weights([np.asarray(weight) for weight in model.get_weights()])
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise UnsupportedModelError(
            f"The model '{model.name}' computes in {computes(model)}, and Keras cannot rebuild it in float32.",
            fix="build it under the policy 'float32', set the weights, and save that model.",
        ) from error
    return rebuilt


def _replace_policies(config: Any) -> Any:
    """Return a layer's configuration with float32 in place of each other dtype and policy."""
    if isinstance(config, dict):
        if config.get("class_name") in _POLICY_CLASSES and config["config"]["name"] in _POLICIES:
            return "float32"
        return {
            key: "float32" if key == "dtype" and value in tuple(_POLICIES) else _replace_policies(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_replace_policies(value) for value in config)
    return config
