"""Keras 2 models, through tf-keras: ``.h5`` and ``.keras`` files, and SavedModel folders.

Keras 3 reads some of them and fails on others (layers with options that it dropped, optimizers in a SavedModel), so
all of them go to tf-keras, with the layers of the model's own generation. They need a process of their own: tf-keras
and Keras 3 share TensorFlow's one module for Keras.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.source import Probes, Reference, SourceInfo
from edgeml.core.system.machine import installed_version
from edgeml.sources.audit_findings import refuse_untrusted
from edgeml.sources.audit_keras import check_size
from edgeml.sources.audit_saved_model import audit_graph, audit_saved_model
from edgeml.sources.keras_description import decision_of, model_digest, reference_of, signature_of
from edgeml.sources.keras_files import SAVED_MODEL_FILE, audit_keras_file
from edgeml.sources.range_probes import make_range_probes

__all__ = ["SUFFIX", "LegacyKerasSource", "open_source", "save"]

SUFFIX = ".h5"
_MODELS = {"_tf_keras_model", "_tf_keras_network", "_tf_keras_sequential"}


@dataclass(frozen=True, slots=True)
class LegacyKerasSource:
    """A loaded Keras 2 model and its description.

    Attributes:
        info: Description of the model.
        model: The `tf_keras.Model`.
    """

    info: SourceInfo
    model: Any

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """Return the model's outputs, in inference mode and in batches of 32.

        Args:
            inputs: float32 arrays ``[samples, ...]`` in the signature's order.
        """
        return reference_of(self.info.signature, self.call, inputs)

    def compared_columns(self) -> dict[str, tuple[int, ...]]:
        """Return no columns: a network computes with all of its inputs."""
        return {}

    def probes(self, inputs: dict[str, np.ndarray]) -> Probes:
        """Return inputs beyond the ranges of the samples. See `make_range_probes`."""
        return make_range_probes(inputs, self.info.whole_inputs, self.reference)

    def call(self, inputs: list[Any]) -> list[Any]:
        """Return the float32 outputs as a flat list in the model's order, from a flat list of inputs.

        Arrays are accepted and, while TensorFlow traces, symbolic tensors. Inputs that are not float32 in the
        model are cast.
        """
        import tensorflow as tf

        model = self.model
        cast = [tf.cast(value, spec.dtype) for value, spec in zip(inputs, model.inputs, strict=True)]
        packed = tf.nest.pack_sequence_as(model.input, cast)
        return [tf.cast(output, tf.float32) for output in tf.nest.flatten(model(packed, training=False))]


def save(model: Any, path: Path) -> None:
    """Save a model in memory to an ``.h5`` file.

    Raises:
        UnsupportedModelError: tf-keras cannot save the model, or the model was never built.
    """
    if not model.built or not getattr(model, "inputs", None):
        raise UnsupportedModelError(
            f"The Keras model '{model.name}' does not have inputs of known shape.",
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
            fix="build it from Keras's own layers, and save the whole model with model.save().",
        ) from error
    source = LegacyKerasSource(_describe(model, path), model)
    refuse_untrusted(path.name, _audit_trace(source), trust=trust)
    return source


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


def _audit_trace(source: LegacyKerasSource) -> list[str]:
    """Return findings in the model's traced graph, where functions of TensorFlow that layers call become visible."""
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
            f"{path.name}: the {type(model).__name__} in it is not a Keras model with inputs of known shape.",
            fix="save a keras.Model(inputs, outputs) or a keras.Sequential with model.save().",
        )
    if any(getattr(layer, "stateful", False) for layer in model._flatten_layers()):  # noqa: SLF001  # no public way
        raise UnsupportedModelError(
            f"{path.name} keeps state between calls, so that its outputs depend on their order.",
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
    if getattr(layer, "return_state", None) is not None:
        return ""  # a recurrent layer, which does not end with its activation
    activation = getattr(layer, "activation", layer)
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()
