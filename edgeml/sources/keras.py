"""Keras models: ``.keras`` files of Keras 3, and the choice of the loader for files of either generation."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.source import SourceInfo
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Signature
from edgeml.sources.audit_findings import refuse_untrusted
from edgeml.sources.audit_keras import check_size
from edgeml.sources.heads import MOVING_LAYERS, describe_outputs, head_of, moved_function
from edgeml.sources.keras_description import (
    check_text_inputs,
    computes_as_graph,
    keys_or_names,
    model_digest,
    output_dtype,
    signature_of,
    token_inputs,
    traced,
)
from edgeml.sources.keras_files import audit_keras_file, keras_generation
from edgeml.sources.keras_precision import cast_to_float32, computes
from edgeml.sources.keras_source import KerasSource
from edgeml.sources.tf_keras import open_source as open_legacy_source

__all__ = ["SUFFIX", "open_source", "save"]

SUFFIX = ".keras"
# Layers that end with their activation; recurrent layers do not.
# Operations of Keras that cast floats to integers; besides these, all with "Embedding" in their names.
_CASTING = {"Cast", "CategoryEncoding", "HashedCrossing", "Hashing", "MultiHot", "OneHot"}
_LAST_LAYERS = re.compile(r"Activation|Dense|EinsumDense|Sigmoid|Softmax|(Depthwise|Separable)?Conv[123]D(Transpose)?")


def _call(model: Any, inputs: list[Any]) -> list[Any]:
    import keras

    cast = [keras.ops.cast(value, spec.dtype) for value, spec in zip(inputs, model.inputs, strict=True)]
    packed = keras.tree.pack_sequence_as(getattr(model, "_inputs_struct", model.inputs[0]), cast)
    # Recurrent layers with dropout sample masks in inference too, which would change the state of their generator.
    with keras.StatelessScope():
        outputs = model(packed, training=False)
    return [
        keras.ops.cast(output, output_dtype(keras.backend.standardize_dtype(output.dtype)))
        for output in keras.tree.flatten(outputs)
    ]


def save(model: Any, path: Path) -> None:
    """Save a model in memory, without a class of its own that changes its training alone, to a ``.keras`` file.

    Raises:
        UnsupportedModelError: Keras cannot save the model, or the model was never built.
    """
    if not model.built or not getattr(model, "inputs", None):
        raise UnsupportedModelError(
            f"The Keras model '{model.name}' does not have inputs of known shape.",
            fix="start it with keras.Input(shape), or wrap it in keras.Model(inputs, outputs).",
        )
    if computes_as_graph(model):
        import keras

        model = keras.Model(
            getattr(model, "_inputs_struct", model.inputs),
            getattr(model, "_outputs_struct", model.outputs),
            name=model.name,
        )
    try:
        model.save(path)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UnsupportedModelError(
            f"Keras cannot save the model '{model.name}': {error}",
            fix="make `model.save('model.keras')` work.",
        ) from error


def open_source(path: Path, *, trust: bool = False) -> KerasSource:
    """Audit and load a saved model of Keras 3 or Keras 2, by the generation that wrote it.

    Keras 3 loads in its safe mode: code in the file is refused, not run.

    Args:
        path: A ``.keras`` or ``.h5`` file of either generation, or a SavedModel folder of Keras 2.
        trust: Whether code and classes from outside Keras are accepted.

    Raises:
        InputError: The file does not exist, is not a Keras model, is corrupt, or declares more than it can hold.
        UnsupportedModelError: The audit found something, Keras cannot load the model, or edgeml does not support it.
    """
    if keras_generation(path) == 2:
        return open_legacy_source(path, trust=trust)
    if path.suffix != path.suffix.lower():  # Keras 3 recognizes suffixes in lower case alone
        raise InputError(
            f"{path.name} has a suffix in upper case.", fix=f"rename it to {path.stem}{path.suffix.lower()}."
        )
    audited = audit_keras_file(path)
    refuse_untrusted(path.name, audited.findings, trust=trust)
    os.environ["KERAS_BACKEND"] = "tensorflow"  # for this process, before Keras is imported: converters trace it
    import keras
    import tensorflow as tf

    check_size(_count_weights(audited.config, trust=trust), audited.elements, path.name)
    tf.config.experimental.enable_op_determinism()
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except (TypeError, ValueError, KeyError, AttributeError, ImportError, OSError) as error:
        raise UnsupportedModelError(
            f"{path.name}: Keras {keras.__version__} cannot load the model: {_cause(error)}.",
            fix="build it from Keras's own layers: your own classes cannot be loaded here. Of a model whose class "
            "changes only its training, save keras.Model(model.inputs, model.outputs).",
        ) from error
    info = _describe(model)
    if not info.computes:
        return KerasSource(info, model, _call)
    deserialize = partial(keras.saving.deserialize_keras_object, safe_mode=not trust)
    return KerasSource(info, cast_to_float32(model, keras.saving.serialize_keras_object, deserialize), _call, model)


def _count_weights(config: dict[str, Any], *, trust: bool) -> int:
    """Return the number of weights that the layers ask for, without allocating them; 0 where Keras fails."""
    import keras

    parts = {key: value for key, value in config.items() if key != "compile_config"}
    try:
        with keras.StatelessScope(initialize_variables=False):  # in which variables take no memory
            if "module" in config:
                model = keras.saving.deserialize_keras_object(parts, safe_mode=not trust)
            else:  # HDF5 files keep the older form
                kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
                model = kind.from_config(config["config"])
            return sum(math.prod(weight.shape) for weight in model.weights)
    except Exception:  # noqa: BLE001  # loading fails for the same reason, and reports it
        return 0
    finally:
        keras.utils.clear_session()  # so that automatic names start again


def _cause(error: Exception) -> str:
    """Return the first sentence of the innermost failure: Keras wraps each in a long one with the whole config."""
    text = str(error).rpartition("Exception encountered: ")[2].strip()
    return text.splitlines()[0].partition(". ")[0].rstrip(".") if text else repr(error)


def _describe(model: Any) -> SourceInfo:
    import keras

    if not getattr(model, "inputs", None):
        raise UnsupportedModelError(
            f"The model '{model.name}' does not have inputs of known shape.",
            fix="wrap it in keras.Model(inputs, outputs) before saving.",
        )
    if any(getattr(layer, "stateful", False) for layer in model._flatten_layers()):  # noqa: SLF001  # no public way
        raise UnsupportedModelError(
            f"The model '{model.name}' keeps state between calls, so that its outputs depend on their order.",
            fix="build it with stateful=False.",
        )
    check_text_inputs(model, keras.tree.flatten)
    signature = signature_of(_named_inputs(model), _computed_outputs(model))
    heads = [head_of(_activation(output), output.shape) for output in model.outputs]
    task, decision, by_output = describe_outputs(signature.outputs, heads)
    return SourceInfo(
        "keras",
        type(model).__name__,
        signature,
        task,
        decision,
        model_digest(keras.saving.serialize_keras_object(model), ((weight.path, weight) for weight in model.weights)),
        {name: installed_version(name) or "unknown" for name in ("keras", "tensorflow", "numpy")},
        whole_inputs=_whole_inputs(model, signature),
        computes=computes(model),
        heads=by_output,
    )


def _whole_inputs(model: Any, signature: Signature) -> tuple[str, ...]:
    """Return the names of the inputs of integers, and of those that the model casts to integers."""
    import keras

    specs = list(zip(signature.inputs, model.inputs, strict=True))
    whole = {spec.name for spec, tensor in specs if not keras.backend.is_float_dtype(tensor.dtype)}
    if len(whole) < len(specs) and _casts(model):
        with contextlib.suppress(Exception):  # converting fails for the same reason, and reports it
            graph = traced(signature, partial(_call, model), model.inputs[0].shape[0] or 1)
            whole.update(token_inputs(signature, graph))
    return tuple(spec.name for spec in signature.inputs if spec.name in whole)


def _casts(model: Any) -> bool:
    """Return whether a layer or another operation may cast floats to integers, so that the model must be traced."""
    layers = list(model._flatten_layers())  # noqa: SLF001  # no public way
    operations = (*layers, *(operation for layer in layers for operation in getattr(layer, "operations", ())))
    names = {type(operation).__name__ for operation in operations}
    return bool(names & _CASTING) or any("Embedding" in name for name in names)


def _computed_outputs(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield each output's name and its value for a sample of zeros: of some layers, Keras predicts a wrong shape.

    The model runs when the first is asked for; by then the inputs are known to be of fixed size.
    """
    zeros = [np.zeros((tensor.shape[0] or 1, *tensor.shape[1:]), np.float32) for tensor in model.inputs]
    try:
        outputs = _call(model, zeros)
    except Exception as error:  # a layer's call can raise anything
        raise UnsupportedModelError(
            f"The model '{model.name}' does not run on zeros: {_cause(error)}.",
            fix="correct the layer that the message is about, and save the model again.",
        ) from error
    for (name, _), output in zip(_named_outputs(model), outputs, strict=True):
        yield name, output


def _named_inputs(model: Any) -> list[tuple[str, Any]]:
    """Return each input in the order of a flattened call, with its keys or else its own name."""
    return _named(getattr(model, "_inputs_struct", None), model.inputs, [tensor.name for tensor in model.inputs])


def _named_outputs(model: Any) -> list[tuple[str, Any]]:
    """Return each output in the order of a flattened call, with its keys or else its layer's name."""
    # Keras does not have a public way from an output to its layer, or to its keys in the model's result.
    layers = [tensor._keras_history.operation.name for tensor in model.outputs]  # noqa: SLF001
    return _named(getattr(model, "_outputs_struct", None), model.outputs, layers)


def _named(struct: Any, tensors: list[Any], names: list[str]) -> list[tuple[str, Any]]:
    import keras

    paths = [path for path, _ in keras.tree.flatten_with_path(tensors if struct is None else struct)]
    return list(zip(keys_or_names(paths, names), tensors, strict=True))


def _activation(output: Any) -> str:
    """Return the name of the function that computes an output; empty where more follows, as in a recurrent layer."""
    operation = _operation(output)
    name = type(operation).__name__
    if name in MOVING_LAYERS:
        return moved_function(output, operation, _activation)
    if not _LAST_LAYERS.fullmatch(name):
        return ""
    activation = getattr(operation, "activation", operation)
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()


def _operation(tensor: Any) -> Any:
    """Return the operation that computes a tensor, looking into nested models."""
    history = tensor._keras_history  # noqa: SLF001  # no public way
    inner = getattr(history.operation, "outputs", None)
    return _operation(inner[history.tensor_index]) if inner else history.operation
