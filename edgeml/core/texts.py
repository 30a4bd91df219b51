"""Texts as NumPy arrays, which give each text the room of the longest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.errors import InputError

__all__ = ["MAX_LABEL_CHARS", "check_padding", "pads_too_much", "text_array"]

MAX_LABEL_CHARS = 2000
"""Length of the longest label of a class, in characters: each prediction takes the room of the longest label."""

_CHAR_BYTES = 4
_ALWAYS_BYTES = 2**27


def pads_too_much(texts: Sequence[str]) -> bool:
    """Return whether an array of texts would take gigabytes where the texts themselves do not.

    Allowed are 128 MB, or 4 times the texts themselves less 128 MB.
    """
    padded = _CHAR_BYTES * len(texts) * max(map(len, texts), default=0)
    return padded > _ALWAYS_BYTES and padded > 4 * _CHAR_BYTES * sum(map(len, texts)) - _ALWAYS_BYTES


def text_array(texts: Sequence[str], where: str) -> np.ndarray:
    """Return texts as an array of ``str_``, ``[texts]``; errors are those of `check_padding`."""
    check_padding(texts, where)
    return np.array(texts, np.str_)


def check_padding(texts: Sequence[str], where: str) -> None:
    """Check that an array of texts has about the size of the texts themselves.

    Args:
        texts: The texts.
        where: Their place, for messages.

    Raises:
        InputError: A few texts are so much longer than the others that the array would take gigabytes.
    """
    if pads_too_much(texts):
        row, longest = max(enumerate(texts), key=lambda item: len(item[1]))
        raise InputError(
            f"{where}: text {row} of {len(texts)} has {len(longest)} characters, far more than the others.",
            fix="shorten it, or leave it out: each text takes the memory of the longest.",
        )
