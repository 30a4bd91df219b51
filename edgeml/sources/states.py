"""States of model files: inputs whose next value an output returns."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["StateOption", "refuse_free_steps", "refuse_undeclared", "with_states"]

StateOption = bool | dict[str, str] | None
"""Whether a model keeps a state: None if the caller does not say; or the outputs of the next states by input."""

# Words of a name that say which of a state's two tensors it is, and not which state.
_WORDS = re.compile(
    r"(?:^|(?<=_))(?:r(?=_)|(?:in|out|input|output|old|new|prev|previous|next|past|present|key_values|cur|current|initial|"
    r"init|final|updated)(?=_|[0-9]|$))"
)
_ENDS = re.compile(r"(?<=[a-z])_?[nxy]$|(?<=[0-9])[io]$")  # h and hn, hx and hy, r1i and r1o
_NUMBER = re.compile(r"_?[0-9]+$")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[_.\-/:]+")
_STATES = re.compile(
    r"state|cache|hidden|cell|memor|past|present|buf|lstm|gru|rnn|context|carry|recurrent|"
    r"(?:^|_)(?:[hc][nxy]?|mem|kv|r[0-9]+[io])(?:_?[0-9]+)?(?:_|$)"
)
"""Names that states have; others may be values that a model passes through."""


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
                f"{name}: a state was not found by the names and shapes of the inputs and outputs.",
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
        fix="say in a build --stateful (stateful=True): samples are then consecutive steps of a sequence, and "
        "session.stateful() continues it from call to call. --stateless (stateful=False) takes a state as an ordinary "
        "input.",
    )


def refuse_free_steps(signature: Signature, name: str, *, stateful: bool) -> None:
    """Refuse free sizes of a model with a state, whose steps are of one size.

    Args:
        signature: Tensors of the file.
        name: Name of the file.
        stateful: Whether the model has a state.

    Raises:
        UnsupportedModelError: It has, and free sizes.
    """
    if stateful and signature.free_sizes:
        raise UnsupportedModelError(
            f"{name} keeps a state, and its steps are of one size: {', '.join(signature.free_sizes)} cannot stay free.",
            fix=f"fix it in the build: --size {signature.free_sizes[0]}=N (sizes= in Python).",
        )


def _find(signature: Signature) -> dict[str, str]:
    """Return the outputs of next states by input: of the same shape and dtype, and of like names."""
    states: dict[str, str] = {}
    for key_of in (_key, _bare_key):  # numbers tell states apart, unless one of the two names has none
        for source in signature.inputs:
            fitting = [
                output.name
                for output in signature.outputs
                if (output.shape, output.dtype) == (source.shape, source.dtype)
                and source.name not in states
                and output.name not in states.values()
                and key_of(source.name) == key_of(output.name)
                and any(character.isalpha() for character in key_of(source.name))
            ]
            if len(fitting) == 1:
                states[source.name] = fitting[0]
    states = {source: output for source, output in states.items() if _is_named_state(source, output)}
    # What is left must be a model: an image that becomes an image is no state.
    return states if len(states) < min(len(signature.inputs), len(signature.outputs)) else {}


def _key(name: str) -> str:
    """Return what remains of a name without words as ``in`` and ``next``."""
    words = _SEPARATORS.sub("_", _CAPITAL.sub("_", name)).strip("_").lower()
    bare = _SEPARATORS.sub("_", _WORDS.sub("", words)).strip("_")
    return _ENDS.sub("", bare) or bare


def _bare_key(name: str) -> str:
    return _NUMBER.sub("", _key(name))


def _is_named_state(source: str, output: str) -> bool:
    names = (_SEPARATORS.sub("_", _CAPITAL.sub("_", name)).lower() for name in (source, output))
    return any(_STATES.search(name) for name in names)


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
        if inputs[source].shape[:1] not in {(1,), (None,)}:
            raise InputError(
                f"stateful: expected a batch of 1, got {inputs[source].shape[0]}: a sequence has one state.",
                fix="fix the batch at 1: --size, where it is free, or export the model so.",
            )
    if len(set(states.values())) < len(states) or len(states) >= min(len(inputs), len(outputs)):
        raise InputError(
            "stateful: expected an output of its own for each state, and an input and an output that are no state."
        )
