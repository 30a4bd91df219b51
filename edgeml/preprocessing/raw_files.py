"""Read raw input from image, WAV and CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Audio, Declaration, Image, Table
from edgeml.core.tensors import Signature
from edgeml.preprocessing.audio_files import AUDIO_SUFFIXES, read_audio
from edgeml.preprocessing.image_files import IMAGE_SUFFIXES, read_image
from edgeml.preprocessing.table_files import TABLE_SUFFIXES, read_table

__all__ = ["RAW_SUFFIXES", "read_raw"]

RAW_SUFFIXES = (*IMAGE_SUFFIXES, *AUDIO_SUFFIXES, *TABLE_SUFFIXES)


def read_raw(path: Path, signature: Signature, declarations: Mapping[str, Declaration]) -> object:
    """Read a file as input for `predict(..., raw=True)`.

    Args:
        path: An image, a WAV file or a CSV file.
        signature: Signature of the artifact or the source. Several inputs must all be columns of one table.
        declarations: Declarations by input name.

    Returns:
        An image ``[height, width, channels]``, sound ``[length]``, or columns ``[rows]`` by name.

    Raises:
        InputError: An input is not declared, the file is of another kind, or is damaged.
        MissingDependencyError: The extra that reads the file is not installed.
        StorageError: The file cannot be read.
    """
    for spec in signature.inputs:
        if spec.name not in declarations:
            raise InputError(
                f"{path.name}: the package does not declare how to make input '{spec.name}' from a file.",
                fix="give the model's own arrays (.npy, .npz), or build the package with --preprocessing.",
            )
    tables = [(spec, table) for spec in signature.inputs if isinstance(table := declarations[spec.name], Table)]
    if len(signature.inputs) > max(1, len(tables)):
        raise InputError(
            f"{path.name}: a single file cannot fill the model's {len(signature.inputs)} inputs.",
            fix="give an .npz file with one array for each input.",
        )
    first = signature.inputs[0].name
    declaration = declarations[first]
    if isinstance(declaration, Image):
        suffixes, kind = IMAGE_SUFFIXES, "an image"
    elif isinstance(declaration, Audio):
        suffixes, kind = AUDIO_SUFFIXES, "sound"
    else:
        suffixes, kind = TABLE_SUFFIXES, "a table"
    if path.suffix.lower() not in suffixes:
        raise InputError(
            f"{path.name}: the package declares input '{first}' to be {kind}.",
            fix=f"give a file {' or '.join(suffixes)}.",
        )
    if isinstance(declaration, Image):
        return read_image(path)
    return read_audio(path, declaration) if isinstance(declaration, Audio) else read_table(path, tables)
