"""Recognition of files by their content, for messages about files of the wrong kind."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from edgeml.core.system.files import open_file, read_errors

__all__ = ["FileKind", "recognize_file"]

_HEAD_BYTES = 4096
_MOST_ENTRIES = 10_000
_LEAST_TEXT = 8
_PACKAGE_TIME = b"\0\0\x21\0"  # 1 January 1980: of all entries of packages, and hardly of other archives

Group = Literal["package", "model", "arrays", "table", "image", "sound", "results", "archive", "text", "folder"]


class FileKind(Struct, frozen=True):
    """The kind of a file or folder, as far as its content shows.

    Attributes:
        group: Its role.
        name: Its kind in words, with an article: ``a TFLite model``.
        format: Of a model, its format: ``tflite``, ``onnx``, ``keras``, ``hdf5``, ``skops``, ``saved_model`` or
            ``pickle``; else empty.
    """

    group: Group
    name: str
    format: str = ""


_PACKAGE = FileKind("package", "an edgeml package")
_ZIP = FileKind("archive", "a ZIP archive")
_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", FileKind("model", "an HDF5 file of Keras", "hdf5")),
    (b"\x93NUMPY", FileKind("arrays", "a NumPy array")),
    (b"\x89PNG\r\n", FileKind("image", "a PNG image")),
    (b"\xff\xd8\xff", FileKind("image", "a JPEG image")),
    (b"\x1f\x8b", FileKind("archive", "a gzip file")),
    (b"%PDF-", FileKind("text", "a PDF document")),
)
_PICKLES = {".pkl", ".pickle", ".joblib", ".dill"}


def recognize_file(path: Path) -> FileKind | None:
    """Recognize a file by its first bytes, an archive by its entries, and ONNX, which has no mark, by its name.

    Args:
        path: A file or a folder.

    Returns:
        Its kind; None for one that is not recognized, or that is empty.

    Raises:
        InputError: The file does not exist.
        StorageError: The file cannot be read.
    """
    with read_errors(path):
        if path.is_dir():
            return _folder_kind(path)
    with read_errors(path), open_file(path) as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path, head)
    return _marked_kind(head) or _unmarked_kind(head, path.suffix.lower())


def _marked_kind(head: bytes) -> FileKind | None:
    """Recognize a file by the mark of its format."""
    if head[4:8] == b"TFL3":
        return FileKind("model", "a TFLite model", "tflite")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return FileKind("sound", "a WAV file")
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def _unmarked_kind(head: bytes, suffix: str) -> FileKind | None:
    """Recognize a file whose format does not have a mark by its name, and text."""
    if suffix in _PICKLES and head[:1] == b"\x80":
        return FileKind("model", "a pickle", "pickle")
    if suffix == ".onnx" and head:
        return FileKind("model", "an ONNX model", "onnx")
    return _text_kind(head, suffix)


def _folder_kind(path: Path) -> FileKind:
    if (path / "saved_model.pb").is_file():
        return FileKind("model", "a SavedModel folder", "saved_model")
    return FileKind("folder", "a folder")


def _zip_kind(path: Path, head: bytes) -> FileKind:
    import zipfile  # slow to import, and seldom needed

    length = int.from_bytes(head[26:28], "little")
    if head[30 : 30 + length] == b"manifest.json" and head[10:14] == _PACKAGE_TIME:
        return _PACKAGE
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist()[:_MOST_ENTRIES])
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return _ZIP
    if "config.json" in names and "metadata.json" in names:
        return FileKind("model", "a Keras model", "keras")
    if "schema.json" in names:
        return FileKind("model", "a scikit-learn model saved by skops", "skops")
    if names and all(name.endswith(".npy") for name in names):
        return FileKind("arrays", "an archive of NumPy arrays")
    return _ZIP


def _text_kind(head: bytes, suffix: str) -> FileKind | None:
    """Recognize text: UTF-8 without control characters, possibly cut within a character."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) < _HEAD_BYTES:
            return None
        text = head[: error.start].decode("utf-8-sig")
    if len(text) < _LEAST_TEXT or any(not (letter.isprintable() or letter in "\t\n\r\f") for letter in text):
        return None
    if suffix == ".json" and '"measurements"' in text:
        return FileKind("results", "a results file of edgeml bench")
    if suffix == ".csv":
        return FileKind("table", "a CSV table")
    return FileKind("text", "a JSON file" if suffix == ".json" else "a text file")
