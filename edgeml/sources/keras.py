"""Keras 3 models."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.errors import EdgemlError, InputError, UnsupportedModelError
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.system.files import read_errors
from edgeml.core.system.machine import installed_version
from edgeml.sources.audit_archive import check_archive
from edgeml.sources.audit_hdf5 import audit_hdf5
from edgeml.sources.audit_keras import audit_config, check_size
from edgeml.sources.findings import refuse_untrusted
from edgeml.sources.keras_description import decision_of, model_digest, reference_of, signature_of
from edgeml.sources.keras_precision import computes, in_float32

__all__ = ["SUFFIX", "KerasSource", "open_source", "save"]

SUFFIX = ".keras"
# An activation of these is the last thing that happens; a recurrent layer's is not.
_LAST_LAYERS = {"Activation", "Dense", "EinsumDense", "Sigmoid", "Softmax"}


@dataclass(frozen=True, slots=True)
class KerasSource:
    """A loaded Keras model and its description.

    Attributes:
        info: Its description.
        model: What is converted: the model in float32.
        own: The model as it was saved, where it computes in something else; else None.
    """

    info: SourceInfo
    model: Any
    own: Any = None

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """The model's answers in float32, in inference mode and in batches of 32, and its own where these differ.

        Args:
            inputs: float32 arrays ``[samples, ...]`` in the signature's order.
        """
        found = reference_of(self.info.signature, self.call, inputs)
        if self.own is None:
            return found
        own = reference_of(self.info.signature, partial(_answers, self.own), inputs)
        return Reference(found.outputs, own=own.outputs)

    def call(self, inputs: list[Any]) -> list[Any]:
        """The float32 outputs as a flat list, in the model's own order, from its inputs as a flat list.

        Works on arrays and, while TensorFlow traces, on symbolic tensors. Inputs that are not float32 in the
        model are cast.
        """
        return _answers(self.model, inputs)


def _answers(model: Any, inputs: list[Any]) -> list[Any]:
    import keras

    cast = [keras.ops.cast(value, spec.dtype) for value, spec in zip(inputs, model.inputs, strict=True)]
    packed = keras.tree.pack_sequence_as(getattr(model, "_inputs_struct", model.inputs[0]), cast)
    with keras.StatelessScope():  # recurrent layers with dropout draw masks in inference too, and would keep the seed
        answers = model(packed, training=False)
    return [keras.ops.cast(output, "float32") for output in keras.tree.flatten(answers)]


def save(model: Any, path: Path) -> None:
    """Hands a model in memory over as a ``.keras`` file.

    Raises:
        UnsupportedModelError: Keras cannot save it, or it was never built.
    """
    if not model.built or not getattr(model, "inputs", None):
        raise UnsupportedModelError(
            f"The Keras model '{model.name}' has no inputs of known shape.",
            fix="start it with keras.Input(shape), or wrap it in keras.Model(inputs, outputs).",
        )
    try:
        model.save(path)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UnsupportedModelError(
            f"Keras cannot save the model '{model.name}': {error}",
            fix="make `model.save('model.keras')` work.",
        ) from error


def open_source(path: Path, *, trust: bool = False) -> KerasSource:
    """Loads a ``.keras`` file, after it was audited, and in safe mode: code in the file is refused, not run.

    Args:
        path: The file.
        trust: Whether code and classes that are not Keras's own are let through.

    Raises:
        InputError: It is no readable ``.keras`` file, or declares sizes that it does not hold.
        UnsupportedModelError: The audit found something, it cannot be loaded, or edgeml does not carry its kind.
    """
    findings, config, held = _audited(path)
    refuse_untrusted(path.name, findings, trust=trust)
    os.environ["KERAS_BACKEND"] = "tensorflow"  # of this process, before Keras is imported: converters trace it
    import keras
    import tensorflow as tf

    check_size(_weights_of(config, trust=trust), held, path.name)
    tf.config.experimental.enable_op_determinism()
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except (TypeError, ValueError, KeyError, AttributeError, ImportError, OSError) as error:
        raise UnsupportedModelError(
            f"{path.name}: Keras {keras.__version__} cannot load the model: {_cause(error)}.",
            fix="make it of Keras's own layers; your own classes are not known here.",
        ) from error
    info = _describe(model)
    if not info.computes:
        return KerasSource(info, model)
    return KerasSource(info, in_float32(model, trust=trust), model)


def _weights_of(config: dict[str, Any], *, trust: bool) -> int:
    """How many weights the layers ask for, found without making them: in this scope, variables take no memory."""
    import keras

    parts = {key: value for key, value in config.items() if key != "compile_config"}
    try:
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(parts, safe_mode=not trust)
            return sum(math.prod(weight.shape) for weight in model.weights)
    except Exception:  # noqa: BLE001  # loading meets the same, and tells it
        return 0
    finally:
        keras.utils.clear_session()  # so that names come out as if this had not been


def _cause(error: Exception) -> str:
    """The first sentence of the innermost failure: Keras wraps each in a long one that holds the whole config."""
    text = str(error).rpartition("Exception encountered: ")[2].strip()
    return text.splitlines()[0].partition(". ")[0].rstrip(".") if text else repr(error)


def _audited(path: Path) -> tuple[list[str], dict[str, Any], int]:
    """What is found in the file, the model's configuration, and how many weights the file holds."""
    with read_errors(path):
        path.stat()
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, path)
            missing = {"config.json", "model.weights.h5"} - set(archive.namelist())
            if missing:
                raise InputError(f"{path.name} is no Keras model: it has no {' and no '.join(sorted(missing))}.")
            damaged = archive.testzip()
            if damaged:
                raise InputError(f"{path.name} is damaged: the checksum of {damaged} does not hold.")
            config = json.loads(archive.read("config.json"))
            weights = archive.read("model.weights.h5")
    except EdgemlError:
        raise
    except Exception as error:  # zipfile and zlib raise many kinds for archives that are none or damaged
        raise InputError(
            f"{path.name} is no Keras model: {error}.", fix="save it again by model.save('model.keras')."
        ) from error
    if not isinstance(config, dict):
        raise InputError(f"{path.name} is no Keras model: its config.json holds no object.")
    findings, held = audit_hdf5(io.BytesIO(weights), len(weights), path.name)
    return findings + audit_config(config), config, held


def _describe(model: Any) -> SourceInfo:
    import keras

    if not getattr(model, "inputs", None):
        raise UnsupportedModelError(
            f"The model '{model.name}' has no inputs of known shape.",
            fix="wrap it in keras.Model(inputs, outputs) before saving.",
        )
    if any(getattr(layer, "stateful", False) for layer in model._flatten_layers()):  # noqa: SLF001  # no public way
        raise UnsupportedModelError(
            f"The model '{model.name}' keeps state between calls, so that its answers depend on their order.",
            fix="build it with stateful=False.",
        )
    decision = decision_of(_activation(model.outputs[0]), model.outputs)
    signature = signature_of(model.inputs, _real_outputs(model), scores=decision is not None)
    return SourceInfo(
        "keras",
        type(model).__name__,
        signature,
        "classification" if decision else None,
        decision,
        model_digest(keras.saving.serialize_keras_object(model), ((weight.path, weight) for weight in model.weights)),
        {name: installed_version(name) or "unknown" for name in ("keras", "tensorflow", "numpy")},
        whole_inputs=tuple(
            spec.name
            for spec, tensor in zip(signature.inputs, model.inputs, strict=True)
            if not keras.backend.is_float_dtype(tensor.dtype)
        ),
        computes=computes(model),
    )


def _real_outputs(model: Any) -> Iterator[tuple[str, Any]]:
    """The outputs' names, with what comes for a sample of zeros: of some layers, Keras foretells another shape.

    The model runs when the first is asked for, by when the inputs are known to be of fixed size.
    """
    zeros = [np.zeros((tensor.shape[0] or 1, *tensor.shape[1:]), np.float32) for tensor in model.inputs]
    try:
        answers = _answers(model, zeros)
    except Exception as error:  # a layer's call can raise anything
        raise UnsupportedModelError(
            f"The model '{model.name}' does not run: {_cause(error)}.", fix="make `model(x)` work."
        ) from error
    for (name, _), answer in zip(_named_outputs(model), answers, strict=True):
        yield name, answer


def _named_outputs(model: Any) -> list[tuple[str, Any]]:
    """Each output, in the order in which a call gives them flat, with its keys or else its layer's name."""
    import keras

    # Keras has no public way from an output to its place in the model's answer, or to its layer.
    struct = getattr(model, "_outputs_struct", None)
    if struct is None:
        return [(tensor._keras_history.operation.name, tensor) for tensor in model.outputs]  # noqa: SLF001
    named = []
    for path, tensor in keras.tree.flatten_with_path(struct):
        keys = [key for key in path if isinstance(key, str)]
        named.append(("_".join(keys) or tensor._keras_history.operation.name, tensor))  # noqa: SLF001
    return named


def _activation(output: Any) -> str:
    """The name of the function that gives an output; empty where more follows it, as in a recurrent layer."""
    operation = _operation(output)
    if type(operation).__name__ not in _LAST_LAYERS:
        return ""
    activation = getattr(operation, "activation", operation)
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()


def _operation(tensor: Any) -> Any:
    """What gives a tensor; where that is a model, what gives it in there."""
    history = tensor._keras_history  # noqa: SLF001  # as above
    inner = getattr(history.operation, "outputs", None)
    return _operation(inner[history.tensor_index]) if inner else history.operation
