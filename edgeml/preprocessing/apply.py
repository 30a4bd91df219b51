"""Raw input to the values of an input, by its declaration."""

from __future__ import annotations

import numpy as np

from edgeml.core.preprocessing import Audio, Declaration, Image
from edgeml.core.tensors import TensorSpec

__all__ = ["apply"]


def apply(declaration: Declaration, raw: object, spec: TensorSpec) -> np.ndarray:
    """Apply a declaration. Only the module of its kind is loaded: a program with images needs no sound.

    Args:
        declaration: The meaning of the values.
        raw: Raw samples, as the module of the declaration's kind takes them.
        spec: The input.

    Returns:
        Values ``[samples, ...]``.

    Raises:
        InputError: The samples are not as declared.
    """
    if isinstance(declaration, Image):
        from edgeml.preprocessing import image

        return image.prepare(declaration, raw, spec)
    if isinstance(declaration, Audio):
        from edgeml.preprocessing import audio

        return audio.prepare(declaration, raw, spec)
    from edgeml.preprocessing import table

    return table.prepare(declaration, raw, spec)
