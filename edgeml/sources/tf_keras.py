"""Keras 2 models, through tf-keras: ``.h5`` files and SavedModel folders.

Keras 3 reads some of them and fails on others (layers with options that it dropped, optimizers in a SavedModel),
so it is given none: one rule, and the model's own generation of layers. In a process of its own: tf-keras and
Keras 3 share TensorFlow's place for Keras.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.system.files import read_errors
from edgeml.core.system.machine import installed_version
from edgeml.sources.audit_hdf5 import audit_hdf5
from edgeml.sources.audit_keras import audit_config, check_size
from edgeml.sources.audit_saved_model import audit_graph, audit_saved_model
from edgeml.sources.findings import refuse_untrusted
from edgeml.sources.keras_description import decision_of, model_digest, reference_of, signature_of

__all__ = ["SUFFIX", "LegacyKerasSource", "open_source", "save"]

SUFFIX = ".h5"
_SAVED_MODEL = "saved_model.pb"
_MODELS = {"_tf_keras_model", "_tf_keras_network", "_tf_keras_sequential"}


@dataclass(frozen=True, slots=True)
class LegacyKerasSource:
    """A loaded Keras 2 model and its description."""

    info: SourceInfo
    model: Any

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """The model's own answers, in inference mode and in batches of 32.

        Args:
            inputs: float32 arrays ``[samples, ...]`` in the signature's order.
        """
        return reference_of(self.info.signature, self.call, inputs)

    def call(self, inputs: list[Any]) -> list[Any]:
        """The float32 outputs as a flat list, in the model's own order, from its inputs as a flat list.

        Works on arrays and, while TensorFlow traces, on symbolic tensors. Inputs that are not float32 in the
        model are cast.
        """
        import tensorflow as tf

        model = self.model
        cast = [tf.cast(value, spec.dtype) for value, spec in zip(inputs, model.inputs, strict=True)]
        packed = tf.nest.pack_sequence_as(model.input, cast)
        return [tf.cast(output, tf.float32) for output in tf.nest.flatten(model(packed, training=False))]


def save(model: Any, path: Path) -> None:
    """Hands a model in memory over as an ``.h5`` file.

    Raises:
        UnsupportedModelError: tf-keras cannot save it, or it was never built.
    """
    if not model.built or not getattr(model, "inputs", None):
        raise UnsupportedModelError(
            f"The Keras model '{model.name}' has no inputs of known shape.",
            fix="start it with keras.Input(shape), or wrap it in keras.Model(inputs, outputs).",
        )
    try:
        model.save(path, include_optimizer=False, save_format="h5")
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UnsupportedModelError(
            f"tf-keras cannot save the model '{model.name}': {error}",
            fix="make `model.save('model.h5')` work.",
        ) from error


def open_source(path: Path, *, trust: bool = False) -> LegacyKerasSource:
    """Loads an ``.h5`` file or a SavedModel folder, after it was audited.

    Args:
        path: The file or folder.
        trust: Whether code and classes that are not Keras's own are let through.

    Raises:
        InputError: It is neither, or declares sizes that it does not hold.
        UnsupportedModelError: The audit found something, it cannot be loaded, or edgeml does not carry its kind.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # of this process, before TensorFlow is imported
    audited = _audited_folder if path.is_dir() else _audited_file
    findings, config, held = audited(path)
    refuse_untrusted(path.name, findings, trust=trust)
    import tensorflow as tf
    import tf_keras

    if config is not None:
        check_size(_weights_of(config), held, path.name)
    tf.config.experimental.enable_op_determinism()
    if trust:
        from tf_keras.src.saving.serialization_lib import enable_unsafe_deserialization

        enable_unsafe_deserialization()
    try:
        model = tf_keras.models.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # what a file of another making can raise has no end
        raise UnsupportedModelError(
            f"{path.name}: tf-keras {tf_keras.__version__} cannot load the model: {_cause(error)}.",
            fix="make it of Keras's own layers, and save the whole model by model.save().",
        ) from error
    source = LegacyKerasSource(_describe(model, path), model)
    refuse_untrusted(path.name, _traced(source), trust=trust)
    return source


def _audited_folder(path: Path) -> tuple[list[str], dict[str, Any] | None, int]:
    if not (path / _SAVED_MODEL).is_file():
        raise InputError(f"{path.name} is no SavedModel: the folder has no {_SAVED_MODEL}.")
    findings, configs, held = audit_saved_model(path)
    models = [config for kind, config in configs if kind in _MODELS]
    return findings, models[0] if models else None, held


def _audited_file(path: Path) -> tuple[list[str], dict[str, Any], int]:
    with read_errors(path):
        path.stat()
    import h5py

    with path.open("rb") as file:
        findings, held = audit_hdf5(file, path.stat().st_size, path.name)
        with h5py.File(file, "r") as root:
            text = root.attrs.get("model_config")
    if text is None:
        raise InputError(
            f"{path.name} holds no model: it has no model_config, as a file of weights alone.",
            fix="save the whole model by model.save('model.h5').",
        )
    try:
        config = json.loads(text)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path.name} is damaged: its model_config cannot be read: {error}.") from error
    return findings + audit_config(config), config, held


def _weights_of(config: dict[str, Any]) -> int:
    """How many weights the layers ask for, found without making them: in a graph, variables take no memory."""
    import tensorflow as tf
    import tf_keras

    parts = {key: config[key] for key in ("class_name", "config") if key in config}
    try:
        with tf.Graph().as_default():
            return int(tf_keras.models.model_from_config(parts).count_params())
    except Exception:  # noqa: BLE001  # loading meets the same, and tells it
        return 0
    finally:
        tf_keras.backend.clear_session()  # so that names come out as if this had not been


def _traced(source: LegacyKerasSource) -> list[str]:
    """What the model's own graph would do: functions of TensorFlow that layers call are seen here at the latest."""
    import tensorflow as tf

    inputs = [tf.TensorSpec((1, *spec.shape[1:]), tf.float32) for spec in source.info.signature.inputs]
    traced = tf.function(lambda *tensors: source.call(list(tensors))).get_concrete_function(*inputs)
    return audit_graph(traced.graph)


def _cause(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(".:") if lines else repr(error))[:300]


def _describe(model: Any, path: Path) -> SourceInfo:
    if not getattr(model, "inputs", None) or not getattr(model, "output_names", None):
        raise UnsupportedModelError(
            f"{path.name}: the {type(model).__name__} that it holds is no Keras model with inputs of known shape.",
            fix="save a model that keras.Model(inputs, outputs) or keras.Sequential made, by model.save().",
        )
    if any(getattr(layer, "stateful", False) for layer in model._flatten_layers()):  # noqa: SLF001  # no public way
        raise UnsupportedModelError(
            f"{path.name} keeps state between calls, so that its answers depend on their order.",
            fix="build it with stateful=False.",
        )
    outputs = list(model.outputs)
    decision = decision_of(_activation(outputs[0]), outputs)
    signature = signature_of(model.inputs, zip(model.output_names, outputs, strict=True), scores=decision is not None)
    return SourceInfo(
        "tf_keras",
        type(model).__name__,
        signature,
        "classification" if decision else None,
        decision,
        model_digest(_config(model), ((weight.name, weight) for weight in model.weights)),
        {name: installed_version(name) or "unknown" for name in ("tf-keras", "tensorflow", "numpy")},
        whole_inputs=tuple(
            spec.name
            for spec, tensor in zip(signature.inputs, model.inputs, strict=True)
            if not tensor.dtype.is_floating
        ),
    )


def _config(model: Any) -> dict[str, Any]:
    """The model's configuration; of a SavedModel without one, what is left: the layers' classes and names."""
    try:
        return {"class_name": type(model).__name__, "config": model.get_config()}
    except NotImplementedError:
        return {"layers": [[type(layer).__name__, layer.name] for layer in model.layers]}


def _activation(output: Any) -> str:
    """The name of the function that gives an output; where a model within gives it, of what gives it in there."""
    layer, _, index = output._keras_history  # noqa: SLF001  # Keras has no public way from an output to its layer
    inner = getattr(layer, "outputs", None)
    if inner:
        return _activation(inner[index])
    if getattr(layer, "return_state", None) is not None:
        return ""  # of a recurrent layer, whose activation is not the last thing that happens
    activation = getattr(layer, "activation", layer)
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()
