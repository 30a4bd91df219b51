"""Names of classes in the metadata of model files."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping

__all__ = ["class_names"]

_KEYS = ("names", "class_names", "classes", "labels")


def class_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of classes that metadata list, in the order of the scores; empty without such a list.

    Supported are lists of different names, and dicts from positions to them as Ultralytics' exporter writes them, in
    the syntax of JSON or Python.
    """
    for key in _KEYS:
        names = _listed(_parsed(metadata.get(key, "")))
        if names and len(set(names)) == len(names) and all(map(_is_text, names)):
            return tuple(map(str, names))
    return ()


def _parsed(text: str) -> object:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def _listed(value: object) -> list[object]:
    """Return the values of a list, or of a dict by their positions."""
    if isinstance(value, dict):
        by_position = {str(position): name for position, name in value.items()}
        if by_position.keys() != {str(position) for position in range(len(value))}:
            return []
        return [by_position[str(position)] for position in range(len(value))]
    return list(value) if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value) else []


def _is_text(name: object) -> bool:
    return isinstance(name, str) and bool(name) and name.isprintable()  # which lone surrogates are not
