"""Keras models that compute in something else than float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

__all__ = ["computes", "in_float32"]

_OTHERS = {"float16", "bfloat16", "float64"}
_NAMES = {*_OTHERS, "mixed_float16", "mixed_bfloat16"}


def computes(model: Any) -> str:
    """In what it computes, as Keras names the policies, beside float32; empty for float32 alone."""
    layers = model._flatten_layers(include_self=False, recursive=True)  # noqa: SLF001  # no public way
    found = {layer.dtype_policy.name for layer in layers if layer.compute_dtype in _OTHERS}
    return ", ".join(sorted(found))


def in_float32(model: Any, *, trust: bool) -> Any:
    """The same model with the same weights, all in float32.

    Raises:
        UnsupportedModelError: Its configuration does not tell what it is made of.
    """
    import keras

    try:
        config = _recast(keras.saving.serialize_keras_object(model))
        made = keras.saving.deserialize_keras_object(config, safe_mode=not trust)
        made.set_weights([np.asarray(weight) for weight in model.get_weights()])
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise UnsupportedModelError(
            f"The model '{model.name}' computes in {computes(model)}, and Keras cannot make it again in float32.",
            fix="build it under the policy 'float32', give it the weights, and save that.",
        ) from error
    return made


def _recast(config: Any) -> Any:
    """A layer's configuration with each dtype and policy of another precision replaced."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"] in _NAMES:
            return "float32"
        return {
            key: "float32" if key == "dtype" and value in tuple(_NAMES) else _recast(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_recast(value) for value in config)
    return config
