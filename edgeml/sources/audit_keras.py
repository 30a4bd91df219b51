"""Static checks of the configuration of a Keras 2 or Keras 3 model: code, loaders, other files, declared sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from edgeml.core.errors import InputError
from edgeml.sources.tensorflow_functions import is_pure_function

__all__ = ["audit_config", "check_size"]

_CODE = {"Lambda": "a Lambda layer", "__lambda__": "a lambda function"}
_LOADERS = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}
_CALLS = {"SlicingOpLambda", "TFOpLambda"}  # of a function of TensorFlow, by its name
_ACCESSES = {"ClassMethod", "InstanceMethod", "InstanceProperty"}  # to any attribute of a tensor or class, by its name
_LOOKUPS = {"IndexLookup", "IntegerLookup", "StringLookup", "TextVectorization"}
# Modules whose objects a model consists of; the rest of Keras loads, saves, downloads or configures.
_PARTS = (
    r"activations|applications|constraints|dtype_policies|engine|initializers|layers|legacy|losses|metrics|mixed_precision"
    r"|models|ops|optimizers|quantizers|random|regularizers|schedules|backend\.common\.keras_tensor"
)
_OWN = re.compile(rf"(builtins|(tf_keras|keras|tensorflow\.(python\.)?keras)(\.src)?(\.({_PARTS})(\..*)?)?)\Z")
_SMALL = 2**24  # weights that a model may ask for whatever the file holds
_MAX_DEPTH = 200


def audit_config(config: Any) -> list[str]:
    """Return the findings in a model's configuration, each a clause.

    Args:
        config: The parsed JSON.
    """
    findings = []
    for part in _objects(config):
        kind, module, inner = part["class_name"], part.get("module"), part.get("config")
        name = inner if kind == "function" and isinstance(inner, str) else kind
        registered = part.get("registered_name")
        if kind in _CODE:
            findings.append(f"the model contains {_CODE[kind]}, which is code")
        elif kind in _LOADERS:
            findings.append(f"a {kind} loads another model")
        elif isinstance(module, str) and not _OWN.match(module):
            findings.append(f"'{name}' of {module:.80} is not among Keras's own layers")
        elif any(isinstance(label, str) and ">" in label for label in (registered, name)):
            findings.append(f"'{registered or name}' is not among Keras's own layers")
        elif kind in _LOOKUPS and isinstance(inner, dict) and isinstance(inner.get("vocabulary"), str):
            findings.append(f"a {kind} reads the file {inner['vocabulary']!r:.80}")
        elif kind in _ACCESSES:
            findings.append(f"a layer {kind} calls what it names, which may be any code")
        elif kind in _CALLS:
            findings += _audit_call(inner)
    return findings


def _audit_call(config: Any) -> list[str]:
    """Return the finding in the configuration of a layer that calls a function of TensorFlow, if there is one."""
    function = config.get("function") if isinstance(config, dict) else None
    if is_pure_function(function):
        return []
    return [f"the model calls TensorFlow's function {function!r:.80}, which is not one that only computes on arrays"]


def check_size(needed: int, stored: int, name: str) -> None:
    """Check the number of weights that a configuration asks for against the number in the file.

    Raises:
        InputError: The configuration asks for many more.
    """
    if needed > max(_SMALL, 2 * stored):
        raise InputError(f"{name}: the layers ask for {needed} weights, but the file holds {stored}.")


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the configuration of each object in a model's configuration."""
    pending = [(config, 0)]
    while pending:
        part, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise InputError(f"The model's configuration is nested more than {_MAX_DEPTH} levels deep.")
        if isinstance(part, dict):
            if isinstance(part.get("class_name"), str):
                yield part
            pending += [(value, depth + 1) for value in part.values()]
        elif isinstance(part, list):
            pending += [(value, depth + 1) for value in part]
