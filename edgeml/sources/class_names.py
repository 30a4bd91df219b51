"""Names of classes in the metadata of model files."""

from __future__ import annotations

import ast
from collections.abc import Mapping

__all__ = ["class_names"]

_KEYS = ("names", "class_names", "classes", "labels")


def class_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of classes that metadata list, in the order of the scores; empty without such a list.

    Supported are lists, and dicts from positions to names as Ultralytics' exporter writes them, in the syntax of Python
    or JSON.
    """
    for key in _KEYS:
        try:
            value = ast.literal_eval(metadata.get(key, ""))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, dict) and set(value) == set(range(len(value))):
            value = [value[place] for place in range(len(value))]
        if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
            return tuple(value)
    return ()
