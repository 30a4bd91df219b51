"""Paths as callers pass them: text or path-like objects."""

from __future__ import annotations

import os

from edgeml.core.errors import InputError

__all__ = ["checked_path", "is_path"]


def is_path(value: object) -> bool:
    """Return whether a value is a path: text or a path-like object."""
    return isinstance(value, str | os.PathLike)


def checked_path(path: str | os.PathLike[str], name: str = "path") -> str:
    """Return a path as text, once no operating system would refuse its form.

    Args:
        path: The caller's path.
        name: Name of the argument, for messages.

    Raises:
        InputError: The value is not a path, is empty, or contains a null character.
    """
    if not is_path(path):
        raise InputError(f"{name}: expected a path (str or os.PathLike), got {type(path).__name__}.")
    text = os.fsdecode(path)
    if not text:
        raise InputError(f"{name}: the path is empty.")
    if "\0" in text:
        raise InputError(f"{name}: the path {text[:80]!r} contains a null character.")
    return text
