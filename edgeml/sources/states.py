"""States of model files: inputs whose next value an output returns."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["StateOption", "refuse_undeclared", "with_states"]

StateOption = bool | dict[str, str] | None
"""Whether a model keeps a state: None if the caller does not say; or the outputs of the next states by input."""

_WORDS = re.compile(
    r"(?:^|(?<=[_.\-/]))(?:in|out|input|output|old|new|prev|previous|next|past|present|cur|current|initial|init|final|"
    r"updated|t|t1)(?=$|[_.\-/0-9])"
)
_ENDS = re.compile(r"(?:(?<=[a-z])N|(?<=[a-z])n|_n|_?[0-9])$")
_SEPARATORS = re.compile(r"[_.\-/]+")


def with_states(signature: Signature, option: StateOption, name: str) -> Signature:
    """Mark the inputs of a model's state, if the caller declares it.

    Args:
        signature: Tensors of the file.
        option: What the caller says.
        name: Name of the file.

    Raises:
        InputError: The caller names tensors that the file does not have, or declares a state that is not found.
        UnsupportedModelError: The model has a state, and the caller does not say so.
    """
    if option is False:
        return signature
    states = dict(option) if isinstance(option, Mapping) else _find(signature)
    if option is None and states:
        refuse_undeclared(name, [f"'{source}' with its next value '{output}'" for source, output in states.items()])
    if not states:
        if option:
            raise InputError(
                f"{name}: a state was not found: no input has the shape of an output of a like name.",
                fix="name both: stateful={'INPUT': 'OUTPUT'} (--state INPUT=OUTPUT).",
            )
        return signature
    _check(signature, states, name)
    inputs = tuple(
        msgspec.structs.replace(spec, state=states[spec.name]) if spec.name in states else spec
        for spec in signature.inputs
    )
    return Signature(inputs, signature.outputs)


def refuse_undeclared(name: str, states: list[str]) -> None:
    """Refuse a model with a state that the caller has not declared.

    Raises:
        UnsupportedModelError: Always.
    """
    shown = ", ".join(states[:3]) + (f" and {len(states) - 3} more" if len(states) > 3 else "")
    raise UnsupportedModelError(
        f"{name} keeps a state between calls: {shown}. Its answers depend on the steps before.",
        fix="say --stateful (stateful=True): samples are then consecutive steps of a sequence, and session.stateful() "
        "continues it from call to call. --stateless (stateful=False) takes a state as an ordinary input.",
    )


def _find(signature: Signature) -> dict[str, str]:
    """Return the outputs of next states by input: of the same shape and dtype, and of like names."""
    states: dict[str, str] = {}
    for source in signature.inputs:
        fitting = [
            output.name
            for output in signature.outputs
            if (output.shape, output.dtype) == (source.shape, source.dtype)
            and output.name not in states.values()
            and _are_alike(source.name, output.name)
        ]
        if len(fitting) == 1:
            states[source.name] = fitting[0]
    # What is left must be a model: an image that becomes an image is no state.
    return states if len(states) < min(len(signature.inputs), len(signature.outputs)) else {}


def _are_alike(source: str, output: str) -> bool:
    return bool(_keys(source) & _keys(output))


def _keys(name: str) -> set[str]:
    """Return what remains of a name without words as ``in`` and ``next``, and without a last number or ``n``."""
    bare = _SEPARATORS.sub("_", _WORDS.sub("", name.lower() if not _ENDS.search(name) else name)).strip("_").lower()
    return {key for key in (bare, _ENDS.sub("", bare).strip("_")) if key}


def _check(signature: Signature, states: Mapping[str, str], name: str) -> None:
    inputs: dict[str, TensorSpec] = {spec.name: spec for spec in signature.inputs}
    outputs: dict[str, TensorSpec] = {spec.name: spec for spec in signature.outputs}
    for source, output in states.items():
        for tensor, known, kind in ((source, inputs, "input"), (output, outputs, "output")):
            if tensor not in known:
                raise InputError(
                    f"stateful: {name} does not have the {kind} '{tensor}'; its {kind}s are {', '.join(known)}."
                )
        if (inputs[source].shape, inputs[source].dtype) != (outputs[output].shape, outputs[output].dtype):
            raise InputError(
                f"stateful: '{source}' is {inputs[source].dtype} {list(inputs[source].shape)}, and '{output}' "
                f"{outputs[output].dtype} {list(outputs[output].shape)}: a state and its next value are of one shape."
            )
    if len(set(states.values())) < len(states) or len(states) >= min(len(inputs), len(outputs)):
        raise InputError(
            "stateful: expected an output of its own for each state, and an input and an output that are no state."
        )
