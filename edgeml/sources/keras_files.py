"""Saved Keras models: the generation that wrote a file, and the audit of its contents.

TensorFlow is not needed here, so that a file that cannot be used is refused before it is loaded.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeml.core.errors import EdgemlError, InputError, UnsupportedModelError
from edgeml.core.system.files import open_file, read_bytes, read_errors
from edgeml.sources.audit_archive import check_archive
from edgeml.sources.audit_hdf5 import HDF5_ERRORS, audit_hdf5, text_attribute
from edgeml.sources.audit_keras import audit_config

__all__ = ["SAVED_MODEL_FILE", "AuditedFile", "audit_keras_file", "keras_generation"]

SAVED_MODEL_FILE = "saved_model.pb"
"""The file that makes a folder a SavedModel."""

Generation = Literal[2, 3]

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ZIP_SIGNATURE = b"PK"
_ARCHIVE_SUFFIX = ".keras"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_VERSION = re.compile(r"[0-9]{1,3}(\.[0-9A-Za-z.+-]{1,40})?")
_MAX_METADATA_BYTES = 2**20
_BACKENDS = {"tensorflow", ""}  # of Keras 2; others lay the kernels of convolutions out in another way
_SAVE_WHOLE = "save the whole model with model.save('model.keras')."
# Identifiers of the root object of a SavedModel.
_KERAS_2_MODELS = {b"_tf_keras_model", b"_tf_keras_network", b"_tf_keras_sequential"}
# Field numbers in TensorFlow's protocol buffers.
_META_GRAPHS, _OBJECT_GRAPH, _NODES, _USER_OBJECT, _IDENTIFIER = 2, 7, 1, 4, 1


@dataclass(frozen=True, slots=True)
class AuditedFile:
    """The result of auditing a model file.

    Attributes:
        findings: What loading the model would run or reach for, each a clause.
        config: Configuration of the model, from JSON.
        elements: Number of weights that the file declares.
    """

    findings: list[str]
    config: dict[str, Any]
    elements: int


def keras_generation(path: Path) -> Generation:
    """Return the generation of Keras that wrote a model, by what the file itself says.

    Args:
        path: A ``.keras`` archive, an HDF5 file, or the folder of a SavedModel.

    Returns:
        2 also for the standalone Keras 1, whose files tf-keras reads.

    Raises:
        InputError: The file does not exist, is corrupt, holds only weights, or is not a Keras model.
        UnsupportedModelError: The SavedModel does not contain a Keras model, or the version of Keras is not supported.
    """
    if path.is_dir():
        _check_folder(path)
        return 2
    if _is_archive(path):
        with _open_archive(path) as archive:
            return _parse_version(_archived_version(archive, path), path.name)
    with _open_hdf5(path) as (root, size_bytes):
        _model_config(root, size_bytes, path.name)
        version = text_attribute(root, "keras_version", size_bytes, path.name) or "2"
        backend = text_attribute(root, "backend", size_bytes, path.name) or ""
    generation = _parse_version(version, path.name)
    if generation == 2 and backend not in _BACKENDS:
        raise UnsupportedModelError(
            f"{path.name} was saved by Keras {version} with the backend {backend!r:.40}, which is not supported.",
            fix="load it there, save its weights, and load them into the same model under TensorFlow.",
        )
    return generation


def audit_keras_file(path: Path) -> AuditedFile:
    """Audit a ``.keras`` archive or an HDF5 file of either generation.

    Raises:
        InputError: The file does not exist, is corrupt, is not a Keras model, or declares more than it can hold.
    """
    if _is_archive(path):
        return _audit_archive(path)
    with open_file(path) as file:
        findings, elements = audit_hdf5(file, path.stat().st_size, path.name)
    with _open_hdf5(path) as (root, size_bytes):
        config = _parse_config(_model_config(root, size_bytes, path.name), path.name)
    return AuditedFile(findings + audit_config(config), config, elements)


def _is_archive(path: Path) -> bool:
    """Decide between the two formats exactly as Keras does, so that the audit reads what Keras loads.

    Keras compares the suffix with regard to case, then looks at the contents.

    Raises:
        InputError: The contents contradict the suffix, or are of neither format.
    """
    with read_errors(path), open_file(path) as file:
        start = file.read(len(_HDF5_SIGNATURE))
    named_archive = path.suffix == _ARCHIVE_SUFFIX
    if named_archive and zipfile.is_zipfile(path):
        return True
    if start == _HDF5_SIGNATURE:
        return False
    if start.startswith(_ZIP_SIGNATURE):
        if named_archive:
            raise InputError(f"{path.name} is not a Keras model: the ZIP archive is truncated or corrupt.")
        raise InputError(
            f"{path.name} is not an HDF5 file: its contents are a ZIP archive.",
            fix=f"if it is a Keras model, rename it to {path.stem}{_ARCHIVE_SUFFIX}.",
        )
    if named_archive:
        raise InputError(f"{path.name} is not a Keras model: expected a ZIP archive or an HDF5 file.", fix=_SAVE_WHOLE)
    return False  # HDF5 with a block of the user's in front, or no HDF5: opening it shows


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ``.keras`` file, and check its entries."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, path)
            missing = {_CONFIG, _WEIGHTS} - set(archive.namelist())
            if missing:
                raise InputError(f"{path.name} is not a Keras model: {' and '.join(sorted(missing))} not found in it.")
            yield archive
    except EdgemlError:
        raise
    except Exception as error:  # zipfile and zlib raise many types for corrupt archives
        raise InputError(
            f"{path.name} is not a Keras model: {str(error) or type(error).__name__}.",
            fix="save it again with model.save('model.keras').",
        ) from error


def _archived_version(archive: zipfile.ZipFile, path: Path) -> str:
    """Return the version in the metadata; Keras 3 itself loads an archive without them."""
    if _METADATA not in archive.namelist():
        return "3"
    if archive.getinfo(_METADATA).file_size > _MAX_METADATA_BYTES:
        raise InputError(f"{path.name} is corrupt: {_METADATA} is larger than {_MAX_METADATA_BYTES} bytes.")
    metadata = json.loads(archive.read(_METADATA))
    return str(metadata.get("keras_version", "3")) if isinstance(metadata, dict) else ""


def _audit_archive(path: Path) -> AuditedFile:
    with _open_archive(path) as archive:
        damaged = archive.testzip()
        if damaged:
            raise InputError(f"{path.name} is corrupt: the checksum of {damaged} does not match.")
        config = _parse_config(archive.read(_CONFIG).decode(), path.name)
        weights = archive.read(_WEIGHTS)
    findings, elements = audit_hdf5(io.BytesIO(weights), len(weights), path.name)
    return AuditedFile(findings + audit_config(config), config, elements)


@contextmanager
def _open_hdf5(path: Path) -> Iterator[tuple[Any, int]]:
    """Open an HDF5 file, as a context of its root and its size in bytes."""
    import h5py

    with read_errors(path):
        size_bytes = path.stat().st_size
    try:
        with open_file(path) as file, h5py.File(file, "r") as root:
            yield root, size_bytes
    except HDF5_ERRORS as error:
        raise InputError(
            f"{path.name} is not a valid HDF5 file: {str(error) or type(error).__name__}.", fix=_SAVE_WHOLE
        ) from error


def _model_config(root: Any, size_bytes: int, name: str) -> str:
    """Return the JSON text of the model's configuration.

    Raises:
        InputError: The file holds only weights, or is not a Keras model.
    """
    text = text_attribute(root, "model_config", size_bytes, name)
    if text is not None:
        return text
    members = set(root)
    if "layer_names" in root.attrs or members >= {"layers", "vars"} or "_layer_checkpoint_dependencies" in members:
        raise InputError(f"{name} holds only the weights of a Keras model, without its layers.", fix=_SAVE_WHOLE)
    raise InputError(
        f"{name} is an HDF5 file without a Keras model: the attribute 'model_config' was not found.", fix=_SAVE_WHOLE
    )


def _parse_config(text: str, name: str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is corrupt: the model's configuration is not valid JSON ({error}).") from error
    if not isinstance(config, dict):
        raise InputError(f"{name} is corrupt: the model's configuration is not a JSON object.")
    return config


def _parse_version(version: str, name: str) -> Generation:
    if not _VERSION.fullmatch(version):
        raise InputError(f"{name} is corrupt: the Keras version {version!r:.40} is not a version number.")
    major = int(version.partition(".")[0])
    if major in {1, 2}:
        return 2
    if major == 3:
        return 3
    raise UnsupportedModelError(
        f"{name} was saved by Keras {version}; supported are Keras 2 and 3.",
        fix="save the model with Keras 3, or convert it to .tflite or .onnx first.",
    )


def _check_folder(folder: Path) -> None:
    """Check that a folder is a SavedModel with a Keras model in it.

    Raises:
        InputError: The folder is not a SavedModel, or is corrupt.
        UnsupportedModelError: The SavedModel does not contain a Keras model.
    """
    path = folder / SAVED_MODEL_FILE
    if not path.is_file():
        raise _not_a_saved_model(folder)
    try:
        roots = set(_root_identifiers(memoryview(read_bytes(path))))
    except (ValueError, IndexError) as error:
        raise InputError(f"{folder.name} is corrupt: {SAVED_MODEL_FILE} cannot be parsed ({error}).") from error
    if not roots & _KERAS_2_MODELS:
        raise UnsupportedModelError(
            f"{folder.name} is a SavedModel without a Keras model in it, as model.export() and tf.saved_model.save() "
            "write it.",
            fix="build from a file that model.save('model.keras') wrote; or convert the folder first: "
            f"python -m tf2onnx.convert --saved-model {folder.name} --output model.onnx",
        )


def _not_a_saved_model(folder: Path) -> InputError:
    names = {entry.name for entry in folder.iterdir()}
    if {_CONFIG, _WEIGHTS} <= names:
        return InputError(
            f"{folder.name} is a Keras model that was saved as a folder, which is not supported.",
            fix="save it as one file: model.save('model.keras'), without zipped=False.",
        )
    if "checkpoint" in names or any(name.endswith(".index") for name in names):
        return InputError(
            f"{folder.name} is a TensorFlow checkpoint: it holds weights without a model.",
            fix="load it into the model, and save the whole model with model.save('model.keras').",
        )
    return InputError(
        f"{folder.name} is a folder, but not a SavedModel: {SAVED_MODEL_FILE} was not found in it.",
        fix="pass a model file, or the folder of a SavedModel itself.",
    )


def _root_identifiers(saved_model: memoryview) -> Iterator[bytes]:
    """Yield the identifier of the root object of each graph in a `SavedModel` protocol buffer."""
    for meta_graph in _fields(saved_model, _META_GRAPHS):
        for object_graph in _fields(meta_graph, _OBJECT_GRAPH):
            for root in itertools.islice(_fields(object_graph, _NODES), 1):
                for user_object in _fields(root, _USER_OBJECT):
                    yield from map(bytes, _fields(user_object, _IDENTIFIER))


def _fields(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the values of a field of a protocol buffer that holds bytes or messages.

    Raises:
        ValueError: The message is not well formed.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire_type = key & 7
        if wire_type == 0:
            _, position = _varint(message, position)
            continue
        if wire_type == 2:
            length, position = _varint(message, position)
        elif wire_type in {1, 5}:
            length = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"wire type {wire_type} at byte {position}")
        if length > len(message) - position:
            raise ValueError(f"field of {length} bytes at byte {position} of {len(message)}")
        if wire_type == 2 and key >> 3 == number:
            yield message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the integer at a position, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError(f"integer of more than 10 bytes at byte {position}")
