"""Preprocessing of raw input to a model's numbers, as a package declares it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, Table
from edgeml.core.system.paths import checked_path, is_path
from edgeml.core.tensors import Signature
from edgeml.preprocessing.apply import apply
from edgeml.preprocessing.raw_files import read_raw
from edgeml.preprocessing.table_files import TABLE_SUFFIXES

__all__ = ["preprocess"]


def preprocess(data: object, signature: Signature, declarations: Mapping[str, Declaration]) -> dict[str, object]:
    """Return the values of each input, by input name.

    Args:
        data: Images, audio, rows, a table, or paths of their files, as described by `core.session.Session.predict`.
        signature: Inputs and outputs of the artifact.
        declarations: Declarations of the raw inputs, by input name; inputs without a declaration are used as they are.

    Raises:
        InputError: The package does not declare preprocessing, the data differ from the declaration, or a file does
            not exist.
        MissingDependencyError: The extra that reads a file is not installed.
    """
    if not declarations:
        raise InputError(
            "raw input: the package does not declare preprocessing.",
            fix="pass arrays in the model's own units, or build the package with preprocessing=.",
        )
    names = [spec.name for spec in signature.inputs]
    named = isinstance(data, Mapping) and set(data) == set(names)
    one_table = len(names) > 1 and all(isinstance(declarations.get(name), Table) for name in names)
    several = not one_table and (len(names) > 1 or named)
    if several and not isinstance(data, Mapping):
        raise InputError(
            f"raw input: expected a mapping from the {len(names)} inputs, got {type(data).__name__}.",
            fix=f"pass a dict with the keys {', '.join(names)}.",
        )
    if several and isinstance(data, Mapping):
        values: dict[str, object] = dict(data)
        for spec in signature.inputs:
            if spec.name in values and spec.name in declarations:
                part = Signature((spec,), ())
                values[spec.name] = _read_files(values[spec.name], part, declarations)
    else:
        values = dict.fromkeys(names, _read_files(data, signature, declarations))
    for spec in signature.inputs:
        if spec.name in declarations and spec.name in values:
            values[spec.name] = apply(declarations[spec.name], values[spec.name], spec)
    return values


def _read_files(data: object, signature: Signature, declarations: Mapping[str, Declaration]) -> object:
    """Return the content of files in place of their paths; other data as they are."""
    if is_path(data):
        return _read(data, signature, declarations)
    if not isinstance(data, list | tuple) or not data or not all(map(is_path, data)):
        return data
    if not isinstance(declarations.get(signature.inputs[0].name), Table):
        return [_read(path, signature, declarations) for path in data]
    if all(_is_table_file(path) for path in data):
        return _concatenate([_read(path, signature, declarations) for path in data])
    return data  # a row of text


def _read(path: object, signature: Signature, declarations: Mapping[str, Declaration]) -> object:
    return read_raw(Path(checked_path(path, "raw input")), signature, declarations)  # type: ignore[arg-type]


def _is_table_file(path: object) -> bool:
    return isinstance(path, os.PathLike) or (isinstance(path, str) and path.lower().endswith(TABLE_SUFFIXES))


def _concatenate(tables: Sequence[object]) -> object:
    mappings = [table for table in tables if isinstance(table, Mapping)]
    if len(mappings) < len(tables):
        raise InputError("raw input: several tables cannot be combined.", fix="pass one file.")
    return {column: np.concatenate([table[column] for table in mappings]) for column in mappings[0]}
