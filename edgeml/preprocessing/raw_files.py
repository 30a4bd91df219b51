"""Raw input from a file, as the declarations of the inputs say."""

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
    """A file's content as `predict(..., raw=True)` takes it.

    Args:
        path: An image, a WAV file or a CSV file.
        signature: The artifact's, or the source's; of its inputs only those that are columns of one table may be
            several.
        declarations: Of the inputs, by name.

    Returns:
        An image ``[height, width, channels]``, sound ``[length]``, or columns ``[rows]`` by name.

    Raises:
        InputError: An input declares nothing, the file is of another kind, or is damaged.
        MissingDependencyError: What reads it is not installed.
    """
    for spec in signature.inputs:
        if spec.name not in declarations:
            raise InputError(
                f"{path.name}: the package does not declare what input '{spec.name}' is made of.",
                fix="give arrays (.npy, .npz) as the model takes them, or build the package with --preprocessing.",
            )
    tables = [(spec, found) for spec in signature.inputs if isinstance(found := declarations[spec.name], Table)]
    if len(signature.inputs) > max(1, len(tables)):
        raise InputError(
            f"{path.name}: the model has {len(signature.inputs)} inputs.",
            fix="give an .npz file with an array for each.",
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
