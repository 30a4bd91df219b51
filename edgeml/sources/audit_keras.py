"""What a Keras configuration would run, or reach for, when a model is made of it; of Keras 2 and of Keras 3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from edgeml.core.errors import InputError

__all__ = ["audit_config", "check_size"]

_CODE = {"Lambda": "a Lambda layer", "__lambda__": "a lambda function"}
_LOADERS = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}
_LOOKUPS = {"IndexLookup", "IntegerLookup", "StringLookup", "TextVectorization"}
# Of what a model is made; the rest of Keras loads, saves, downloads or sets things.
_PARTS = (
    r"activations|applications|constraints|dtype_policies|engine|initializers|layers|legacy|losses|metrics|mixed_precision"
    r"|models|ops|optimizers|quantizers|random|regularizers|schedules|backend\.common\.keras_tensor"
)
_OWN = re.compile(rf"(builtins|(tf_keras|keras|tensorflow\.(python\.)?keras)(\.src)?(\.({_PARTS})(\..*)?)?)\Z")
# TensorFlow functions by name, in models that were made with them: arithmetic on tensors, by its public name.
_ARITHMETIC = re.compile(
    r"((math|nn|linalg|signal|image|random|bitwise|strings|sparse|ragged|quantization|__operators__)\.\w+|(?!py_function"
    r"|numpy_function|print|load_|save|function|init_scope|custom_gradient|while_loop|map_fn|scan|foldl|foldr|import_)\w+"
    r"|compat\.v1\.(nn|math|image)\.\w+|keras\.(backend|activations)\.\w+)\Z"
)
_LEAST_ELEMENTS = 2**24  # a model up to this size needs no proof that its weights are there
_MOST_DEPTH = 200


def audit_config(config: Any) -> list[str]:
    """What is found in a model's configuration, each a clause.

    Args:
        config: As JSON gives it.
    """
    findings = []
    for part in _objects(config):
        kind, module, inner = part["class_name"], part.get("module"), part.get("config")
        called = inner if kind == "function" and isinstance(inner, str) else kind
        registered = part.get("registered_name")
        if kind in _CODE:
            findings.append(f"it holds {_CODE[kind]}, which is code")
        elif kind in _LOADERS:
            findings.append(f"a {kind} loads another model")
        elif isinstance(module, str) and not _OWN.match(module):
            findings.append(f"'{called}' of {module:.80} is not among Keras's own layers")
        elif any(isinstance(name, str) and ">" in name for name in (registered, called)):
            findings.append(f"'{registered or called}' is not among Keras's own layers")
        elif kind in _LOOKUPS and isinstance(inner, dict) and isinstance(inner.get("vocabulary"), str):
            findings.append(f"a {kind} reads the file {inner['vocabulary']!r:.80}")
        elif kind == "TFOpLambda" and not _ARITHMETIC.match(str((inner or {}).get("function"))):
            findings.append(f"it calls TensorFlow's function {(inner or {}).get('function')!r:.80}")
    return findings


def check_size(needed: int, held: int, name: str) -> None:
    """Holds the number of weights that a configuration asks for to that of the file.

    Raises:
        InputError: It asks for more, and for much.
    """
    if needed > max(_LEAST_ELEMENTS, 2 * held):
        raise InputError(f"{name}: its layers ask for {needed} weights, and the file holds {held}.")


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    waiting = [(config, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > _MOST_DEPTH:
            raise InputError("The model's configuration is nested too deep.")
        if isinstance(part, dict):
            if isinstance(part.get("class_name"), str):
                yield part
            waiting += [(value, depth + 1) for value in part.values()]
        elif isinstance(part, list):
            waiting += [(value, depth + 1) for value in part]
