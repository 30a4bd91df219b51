"""Keras 3 models."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.machine import installed_version
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.tensors import Decision, Meaning, Signature, TensorSpec

__all__ = ["SUFFIX", "KerasSource", "open_source", "save"]

SUFFIX = ".keras"
# An activation of these is the last thing that happens; a recurrent layer's is not.
_LAST_LAYERS = {"Activation", "Dense", "EinsumDense", "Sigmoid", "Softmax"}
_BATCH = 32  # of the reference: what the source's own predict uses


@dataclass(frozen=True, slots=True)
class KerasSource:
    """A loaded Keras model and its description."""

    info: SourceInfo
    model: Any

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """The model's own answers, in inference mode and in batches of 32.

        Args:
            inputs: float32 arrays ``[samples, ...]`` in the signature's order.
        """
        arrays = list(inputs.values())
        names = [spec.name for spec in self.info.signature.outputs]
        starts = range(0, len(arrays[0]), _BATCH)
        parts = [self.call([array[start : start + _BATCH] for array in arrays]) for start in starts]
        columns = zip(*parts, strict=True)
        return Reference(
            {
                name: np.concatenate([np.asarray(part, dtype=np.float32) for part in column])
                for name, column in zip(names, columns, strict=True)
            }
        )

    def call(self, inputs: list[Any]) -> list[Any]:
        """The float32 outputs as a flat list, in the model's own order, from its inputs as a flat list.

        Works on arrays and, while TensorFlow traces, on symbolic tensors. Inputs that are not float32 in the
        model are cast.
        """
        import keras

        model = self.model
        cast = [keras.ops.cast(value, spec.dtype) for value, spec in zip(inputs, model.inputs, strict=True)]
        packed = keras.tree.pack_sequence_as(getattr(model, "_inputs_struct", model.inputs[0]), cast)
        return [keras.ops.cast(output, "float32") for output in keras.tree.flatten(model(packed, training=False))]


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


def open_source(path: Path) -> KerasSource:
    """Loads a ``.keras`` file, in safe mode: code in the file is refused, not run.

    Raises:
        InputError: It is no readable ``.keras`` file.
        UnsupportedModelError: It cannot be loaded, or it is of a kind that edgeml does not carry.
    """
    _check_archive(path)
    os.environ["KERAS_BACKEND"] = "tensorflow"  # of this process, before Keras is imported: converters trace it
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (TypeError, ValueError, KeyError, AttributeError, ImportError, OSError) as error:
        cause = _cause(error)
        raise UnsupportedModelError(
            f"{path.name}: Keras {keras.__version__} cannot load the model: {cause}.",
            fix="make it of Keras's own layers: code in a file, as of a Lambda, is not run, nor is your class known."
            if "Lambda" in cause or "locate" in cause
            else "",
        ) from error
    return KerasSource(_describe(model), model)


def _cause(error: Exception) -> str:
    """The first sentence of the innermost failure: Keras wraps each in a long one that holds the whole config."""
    text = str(error).rpartition("Exception encountered: ")[2].strip()
    return text.splitlines()[0].partition(". ")[0].rstrip(".") if text else repr(error)


def _check_archive(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    try:
        with zipfile.ZipFile(path) as archive:
            missing = {"config.json", "model.weights.h5"} - set(archive.namelist())
            damaged = archive.testzip()
    except Exception as error:  # zipfile and zlib raise many kinds for archives that are none or damaged
        raise InputError(
            f"{path.name} is no Keras model: {error}.", fix="save it again by model.save('model.keras')."
        ) from error
    if missing:
        raise InputError(f"{path.name} is no Keras model: it has no {' and no '.join(sorted(missing))}.")
    if damaged:
        raise InputError(f"{path.name} is damaged: the checksum of {damaged} does not hold.")


def _describe(model: Any) -> SourceInfo:
    import keras

    if not getattr(model, "inputs", None):
        raise UnsupportedModelError(
            f"The model '{model.name}' has no inputs of known shape.",
            fix="wrap it in keras.Model(inputs, outputs) before saving.",
        )
    taken: set[str] = set()
    inputs = tuple(TensorSpec(_name(tensor.name, taken), _shape(tensor), "float32") for tensor in model.inputs)
    if any(getattr(layer, "stateful", False) for layer in model._flatten_layers()):  # noqa: SLF001  # no public way
        raise UnsupportedModelError(
            f"The model '{model.name}' keeps state between calls, so that its answers depend on their order.",
            fix="build it with stateful=False.",
        )
    task, decision = _task(model.outputs)
    meaning: Meaning = "scores" if decision else "values"
    outputs = tuple(
        TensorSpec(_name(name, taken), _shape(tensor), "float32", meaning=meaning)
        for name, tensor in _named_outputs(model)
    )
    versions = {name: installed_version(name) or "unknown" for name in ("keras", "tensorflow", "numpy")}
    return SourceInfo(
        "keras",
        type(model).__name__,
        Signature(inputs, outputs),
        task,
        decision,
        _digest(keras.saving.serialize_keras_object(model), model.weights),
        versions,
        whole_inputs=tuple(
            spec.name
            for spec, tensor in zip(inputs, model.inputs, strict=True)
            if not keras.backend.is_float_dtype(tensor.dtype)
        ),
    )


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


def _name(name: str, taken: set[str]) -> str:
    """A name that TensorFlow, TFLite and ONNX all leave as it is, and no other tensor has."""
    base = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not base or not base[0].isalpha():
        base = f"tensor_{base}"
    unique, count = base, 1
    while unique.lower() in taken:  # TensorFlow takes names that differ in case alone for one
        count += 1
        unique = f"{base}_{count}"
    taken.add(unique.lower())
    return unique


def _shape(tensor: Any) -> tuple[int | None, ...]:
    shape = tuple(tensor.shape)
    if any(size is None for size in shape[1:]):
        raise UnsupportedModelError(
            f"Tensor '{tensor.name}' has the shape {list(shape)}: only the batch may be free.",
            fix="fix the other sizes in keras.Input.",
        )
    return (None, *shape[1:])


def _task(outputs: list[Any]) -> tuple[Any, Decision | None]:
    """Classification where the one output is a softmax or a single sigmoid; else the model does not tell."""
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        return None, None
    operation = _operation(outputs[0])
    if type(operation).__name__ not in _LAST_LAYERS:
        return None, None
    activation = getattr(operation, "activation", operation)
    name = str(getattr(activation, "__name__", type(activation).__name__)).lower()
    units = outputs[0].shape[1]
    if name == "softmax" and units > 1:
        return "classification", Decision(tuple(range(units)))
    if name == "sigmoid" and units == 1:
        return "classification", Decision((0, 1), threshold=0.5)
    return None, None


def _operation(tensor: Any) -> Any:
    """What gives a tensor; where that is a model, what gives it in there."""
    history = tensor._keras_history  # noqa: SLF001  # as above
    inner = getattr(history.operation, "outputs", None)
    return _operation(inner[history.tensor_index]) if inner else history.operation


def _digest(config: dict[str, Any], weights: list[Any]) -> str:
    """Of what inference depends on: the layers' configuration and the weights; not how it was compiled."""
    config = {key: value for key, value in config.items() if key not in {"compile_config", "build_config"}}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for weight in weights:
        array = np.ascontiguousarray(weight.numpy())
        digest.update(f"\n{weight.path} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"
