"""Raw input from a file, as the declaration of an input says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Audio, Declaration, Image
from edgeml.preprocessing.audio_files import AUDIO_SUFFIXES, read_audio
from edgeml.preprocessing.image_files import IMAGE_SUFFIXES, read_image
from edgeml.preprocessing.table_files import TABLE_SUFFIXES, read_table

__all__ = ["RAW_SUFFIXES", "read_raw"]

RAW_SUFFIXES = (*IMAGE_SUFFIXES, *AUDIO_SUFFIXES, *TABLE_SUFFIXES)


def read_raw(path: Path, name: str, declaration: Declaration) -> np.ndarray:
    """A file's content as `predict(..., raw=True)` takes it.

    Args:
        path: An image, a WAV file or a CSV file.
        name: The input's name.
        declaration: The input's declaration.

    Raises:
        InputError: The file is of another kind than the input, or is damaged.
        MissingDependencyError: What reads it is not installed.
    """
    if isinstance(declaration, Image):
        suffixes, kind = IMAGE_SUFFIXES, "an image"
    elif isinstance(declaration, Audio):
        suffixes, kind = AUDIO_SUFFIXES, "sound"
    else:
        suffixes, kind = TABLE_SUFFIXES, "a table"
    if path.suffix.lower() not in suffixes:
        raise InputError(
            f"{path.name}: the package declares input '{name}' to be {kind}.",
            fix=f"give a file {' or '.join(suffixes)}.",
        )
    if isinstance(declaration, Image):
        return read_image(path)
    return read_audio(path, declaration) if isinstance(declaration, Audio) else read_table(path, declaration)
