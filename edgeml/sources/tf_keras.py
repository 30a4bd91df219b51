"""Keras 2 models, through tf-keras: ``.h5`` and ``.keras`` files, and SavedModel folders.

Keras 3 reads some of them and fails on others (layers with options that it dropped, optimizers in a SavedModel), so
all of them go to tf-keras, with the layers of the model's own generation. They need a process of their own: tf-keras
and Keras 3 share TensorFlow's one module for Keras.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.source import SourceInfo
from edgeml.core.system.machine import installed_version
from edgeml.sources.audit_findings import refuse_untrusted
from edgeml.sources.audit_keras import check_size
from edgeml.sources.audit_saved_model import audit_graph, audit_saved_model
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
from edgeml.sources.keras_files import SAVED_MODEL_FILE, audit_keras_file
from edgeml.sources.keras_precision import cast_to_float32, computes
from edgeml.sources.keras_source import KerasSource

__all__ = ["SUFFIX", "open_source", "save"]

SUFFIX = ".h5"
_MODELS = {"_tf_keras_model", "_tf_keras_network", "_tf_keras_sequential"}


def _call(model: Any, inputs: list[Any]) -> list[Any]:
    import tensorflow as tf

    cast = [tf.cast(value, spec.dtype) for value, spec in zip(inputs, model.inputs, strict=True)]
    packed = tf.nest.pack_sequence_as(model.input, cast)
    outputs = tf.nest.flatten(model(packed, training=False))
    return [tf.cast(output, output_dtype(output.dtype.name)) for output in outputs]


def save(model: Any, path: Path) -> None:
    """Save a model in memory, without a class of its own that changes its training alone, to an ``.h5`` file.

    Raises:
        UnsupportedModelError: tf-keras cannot save the model, or the model was never built.
    """
    if not model.built or not getattr(model, "inputs", None):
        raise UnsupportedModelError(
            f"The Keras model '{model.name}' does not have inputs of known shape.",
            fix="start it with keras.Input(shape), or wrap it in keras.Model(inputs, outputs).",
        )
    if computes_as_graph(model):
        import tf_keras

        model = tf_keras.Model(model.input, model.output, name=model.name)
    try:
        model.save(path, include_optimizer=False, save_format="h5")
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UnsupportedModelError(
            f"tf-keras cannot save the model '{model.name}': {error}",
            fix="make `model.save('model.h5')` work.",
        ) from error


def open_source(path: Path, *, trust: bool = False) -> KerasSource:
    """Audit and load a file or a SavedModel folder of Keras 2.

    Args:
        path: The file or folder.
        trust: Whether code and classes from outside Keras are accepted.

    Raises:
        InputError: The file does not exist, is of another format, is corrupt, or declares more than it can hold.
        UnsupportedModelError: The audit found something, tf-keras cannot load the model, or edgeml does not support
            it.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # for this process, before TensorFlow is imported
    if path.is_dir():
        findings, config, elements = _audit_folder(path)
    else:
        audited = audit_keras_file(path)
        findings, config, elements = audited.findings, audited.config, audited.elements
    refuse_untrusted(path.name, findings, trust=trust)
    import tensorflow as tf
    import tf_keras

    if config is not None:
        check_size(_count_weights(config), elements, path.name)
    tf.config.experimental.enable_op_determinism()
    if trust:
        from tf_keras.src.saving.serialization_lib import enable_unsafe_deserialization

        enable_unsafe_deserialization()
    try:
        model = tf_keras.models.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # files of other authors can raise any exception
        raise UnsupportedModelError(
            f"{path.name}: tf-keras {tf_keras.__version__} cannot load the model: {_cause(error)}.",
            fix="build it from Keras's own layers, and save the whole model with model.save(). Of a model whose class "
            "changes only its training, save tf_keras.Model(model.inputs, model.outputs).",
        ) from error
    kind, info = type(model), _describe(model, path, trust=trust)
    if not info.computes:
        return KerasSource(info, model, _call)
    return KerasSource(info, cast_to_float32(model, kind.get_config, kind.from_config), _call, model)


def _audit_folder(path: Path) -> tuple[list[str], dict[str, Any] | None, int]:
    if not (path / SAVED_MODEL_FILE).is_file():
        raise InputError(f"{path.name} is not a SavedModel: {SAVED_MODEL_FILE} was not found in the folder.")
    findings, configs, elements = audit_saved_model(path)
    models = [config for kind, config in configs if kind in _MODELS]
    return findings, models[0] if models else None, elements


def _count_weights(config: dict[str, Any]) -> int:
    """Return the number of weights that the layers ask for, without allocating them; 0 where tf-keras fails."""
    import tensorflow as tf
    import tf_keras

    try:
        with tf.Graph().as_default():  # in which variables take no memory
            return int(_model_of(config).count_params())
    except Exception:  # noqa: BLE001  # loading fails for the same reason, and reports it
        return 0
    finally:
        tf_keras.backend.clear_session()  # so that automatic names start again


def _model_of(config: dict[str, Any]) -> Any:
    """Return the model of a configuration, in the form of HDF5 files or, with a module, of ``.keras`` files."""
    import tf_keras

    parts = {key: value for key, value in config.items() if key not in {"compile_config", "build_config"}}
    if "module" in parts:
        return tf_keras.saving.deserialize_keras_object(parts)
    return tf_keras.models.model_from_config({key: parts[key] for key in ("class_name", "config") if key in parts})


def _cause(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(".:") if lines else repr(error))[:300]


def _describe(model: Any, path: Path, *, trust: bool) -> SourceInfo:
    import tensorflow as tf

    if not getattr(model, "inputs", None) or not getattr(model, "output_names", None):
        raise UnsupportedModelError(
            f"{path.name}: the {type(model).__name__} in it is not a Keras model with inputs of known shape.",
            fix="save a keras.Model(inputs, outputs) or a keras.Sequential with model.save().",
        )
    if any(getattr(layer, "stateful", False) for layer in model._flatten_layers()):  # noqa: SLF001  # no public way
        raise UnsupportedModelError(
            f"{path.name} keeps state between calls, so that its outputs depend on their order.",
            fix="build it with stateful=False.",
        )
    check_text_inputs(model, tf.nest.flatten)
    outputs = list(model.outputs)
    signature = signature_of(
        _named(model.input, model.inputs, [tensor.name for tensor in model.inputs]),
        _named(model.output, outputs, model.output_names),
    )
    heads = [head_of(_activation(output), output.shape) for output in outputs]
    task, decision, by_output = describe_outputs(signature.outputs, heads)
    graph = traced(signature, partial(_call, model))  # in which functions of TensorFlow that layers call are visible
    refuse_untrusted(path.name, audit_graph(graph), trust=trust)
    tokens = token_inputs(signature, graph)
    return SourceInfo(
        "tf_keras",
        type(model).__name__,
        signature,
        task,
        decision,
        model_digest(_config(model), ((weight.name, weight) for weight in model.weights)),
        {name: installed_version(name) or "unknown" for name in ("tf-keras", "tensorflow", "numpy")},
        whole_inputs=tuple(
            spec.name
            for spec, tensor in zip(signature.inputs, model.inputs, strict=True)
            if spec.name in tokens or not tensor.dtype.is_floating
        ),
        heads=by_output,
        computes=computes(model),
    )


def _named(struct: Any, tensors: list[Any], names: list[str]) -> list[tuple[str, Any]]:
    """Return each input or output in the order of a flattened call, with its keys or else its name."""
    from tensorflow.python.util import nest  # tf.nest does not have a public function for paths

    paths = [path for path, _ in nest.flatten_with_tuple_paths(struct)]
    return list(zip(keys_or_names(paths, names), tensors, strict=True))


def _config(model: Any) -> dict[str, Any]:
    """Return the model's configuration; of a SavedModel without one, the classes and names of the layers."""
    try:
        return {"class_name": type(model).__name__, "config": model.get_config()}
    except NotImplementedError:
        return {"layers": [[type(layer).__name__, layer.name] for layer in model.layers]}


def _activation(output: Any) -> str:
    """Return the name of the function that computes an output, looking into nested models."""
    layer, _, index = output._keras_history  # noqa: SLF001  # no public way from an output to its layer
    inner = getattr(layer, "outputs", None)
    if inner:
        return _activation(inner[index])
    if type(layer).__name__ in MOVING_LAYERS:
        return moved_function(output, layer, _activation)
    if getattr(layer, "return_state", None) is not None:
        return ""  # a recurrent layer, which does not end with its activation
    activation = getattr(layer, "activation", layer)
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()
