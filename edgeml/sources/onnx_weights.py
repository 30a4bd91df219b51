"""Weights that an ONNX file keeps in files beside it, as exporters write them for large models."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.formats.contents import MalformedFileError
from edgeml.core.formats.onnx_scan import scan_onnx
from edgeml.core.system.files import open_file, read_bytes, read_errors

__all__ = ["load_weights", "weight_files"]

_PLAIN_NAME = re.compile(r"[^/\\:\0]{1,255}")
_MAX_BYTES = 2**31 - 2**20  # protobuf writes messages of up to 2 GB


def load_weights(model: Any, path: Path) -> None:
    """Move the weights of an `onnx.ModelProto` that lie in other files into the model, in place.

    Only plain files in the folder of the model are read: no links, and no names with folders.

    Args:
        model: The model.
        path: File of the model.

    Raises:
        InputError: A file does not exist, or does not hold the bytes that the model declares.
        UnsupportedModelError: A file lies elsewhere, or the model has more than 2 GB.
        StorageError: A file cannot be read.
    """
    tensors = [tensor for tensor in _tensors(model) if tensor.external_data or tensor.data_location]
    total = model.ByteSize()
    for tensor in tensors:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        file = _checked_file(entries.get("location", ""), tensor.name, path)
        size = _size_bytes(tensor, path.name)
        total += size
        if total > _MAX_BYTES:
            raise UnsupportedModelError(
                f"{path.name} has weights of more than 2 GB, which ONNX files cannot hold in one piece.",
                fix="use a smaller model.",
            )
        tensor.raw_data = _read(file, entries, size, tensor.name)
        del tensor.external_data[:]
        tensor.ClearField("data_location")


def weight_files(path: Path) -> tuple[Path, ...]:
    """Return the files beside an ONNX file that hold its weights; none for a file that is not valid."""
    import onnx

    data = read_bytes(path)
    try:
        if not scan_onnx(data).external:
            return ()
    except MalformedFileError:
        return ()
    tensors = _tensors(onnx.ModelProto.FromString(data))
    locations = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    files = [path.parent / location for location in sorted(locations) if _PLAIN_NAME.fullmatch(location)]
    return tuple(file for file in files if file.is_file() and not file.is_symlink())


def _tensors(message: Any) -> Iterator[Any]:
    """Yield all tensors within a message of ONNX, wherever they are."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in value if isinstance(value, Sequence) else (value,):
            if field.message_type.name == "TensorProto":
                yield inner
            else:
                yield from _tensors(inner)


def _checked_file(location: str, tensor: str, path: Path) -> Path:
    """Return the file with the data of a tensor.

    Raises:
        InputError: The file does not exist.
        UnsupportedModelError: It is not a plain file in the folder of the model.
    """
    where = f"{path.name}: the tensor '{tensor}' is stored in another file, {location!r:.80}"
    fix = "nothing of it was read. Keep weights in plain files in the folder of the model, or in the model itself."
    if not _PLAIN_NAME.fullmatch(location) or location in {".", ".."}:
        raise UnsupportedModelError(f"{where}, which is not the name of a file in the folder of the model.", fix=fix)
    file = path.parent / location
    with read_errors(file):
        if file.is_symlink():
            raise UnsupportedModelError(f"{where}, which is a link.", fix=fix)
        if not file.exists():
            raise InputError(f"{where}, and it does not exist.", fix="put it beside the model.")
    return file


def _size_bytes(tensor: Any, name: str) -> int:
    """Return the size of a tensor's data in bytes.

    Raises:
        InputError: The tensor does not have a dtype of fixed size.
    """
    import onnx

    names: dict[int, str] = {number: name for name, number in onnx.TensorProto.DataType.items()}
    kind = names.get(tensor.data_type, "")
    bits = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}.get(kind)
    if bits is None:
        if kind in {"", "UNDEFINED", "STRING"} or any(size < 0 for size in tensor.dims):
            raise InputError(
                f"{name} is corrupt: the tensor '{tensor.name}' in another file is of {kind or 'no dtype'}."
            )
        bits = 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return math.ceil(math.prod(tensor.dims) * bits / 8)


def _read(file: Path, entries: dict[str, str], size: int, tensor: str) -> bytes:
    where = f"{file.name}: the data of the tensor '{tensor}'"
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or size)
    except ValueError as error:
        raise InputError(f"{where} have an offset or a length that is not a number.") from error
    with read_errors(file), open_file(file) as opened:
        available = os.fstat(opened.fileno()).st_size
        if length != size or offset < 0 or offset + length > available:
            raise InputError(
                f"{where} are at {offset} with {length} bytes: expected {size} bytes, and the file has {available}.",
                fix="export the model again, with its files together.",
            )
        opened.seek(offset)
        return opened.read(size)
