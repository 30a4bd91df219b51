"""Apply a declaration of preprocessing to raw input."""

from __future__ import annotations

import numpy as np

from edgeml.core.preprocessing import Audio, Declaration, Image
from edgeml.core.tensors import TensorSpec

__all__ = ["apply"]


def apply(declaration: Declaration, raw: object, spec: TensorSpec) -> np.ndarray:
    """Apply a declaration. Only the module of its kind is imported: a program for images does not load audio.

    Args:
        declaration: The meaning of the input's values.
        raw: Raw samples, as the `prepare` of the declaration's kind accepts them.
        spec: The input.

    Returns:
        Values ``[samples, ...]``.

    Raises:
        InputError: The samples do not fit the declaration.
    """
    if isinstance(declaration, Image):
        from edgeml.preprocessing import image

        return image.prepare(declaration, raw, spec)
    if isinstance(declaration, Audio):
        from edgeml.preprocessing import audio

        return audio.prepare(declaration, raw, spec)
    from edgeml.preprocessing import table

    return table.prepare(declaration, raw, spec)
