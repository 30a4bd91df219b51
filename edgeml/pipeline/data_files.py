"""Files in place of the arguments of `build`: arrays, tables, labels, declarations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.system.files import open_file, read_bytes
from edgeml.core.system.paths import checked_path, is_path
from edgeml.preprocessing.array_files import read_array_file, select_inputs

if TYPE_CHECKING:
    from edgeml.preprocessing.csv_table import CsvTable

__all__ = ["read_calibration", "read_evaluation", "read_inputs", "read_labels"]

_ARRAYS = (".npy", ".npz")
_TABLE = ".csv"
_MAX_LABEL_BYTES = 2**22


def read_inputs(data: object, name: str) -> object:
    """Return inputs: those of a file if the data are its path, else the data themselves.

    Args:
        data: Path of a ``.npy``, ``.npz`` or ``.csv`` file; or a mapping, in which paths of ``.npy`` files may stand
            for arrays; or anything else.
        name: Name of the argument, for messages.

    Returns:
        The array ``x`` of an ``.npz`` file, or all arrays but ``y`` by name; the array of a ``.npy`` file; or the
        table of a CSV file, whose columns `build` converts by the model's declared types.

    Raises:
        InputError: The file does not exist, has another ending, or does not contain arrays.
        StorageError: The file cannot be read.
    """
    if isinstance(data, Mapping):
        return {key: _read_array(value, name) for key, value in data.items()}
    return _split(read_evaluation(data, name))[0] if is_path(data) else data


def read_evaluation(data: object, name: str = "evaluation") -> object:
    """Return evaluation data: of a file the inputs, and the truth if the file contains ``y``.

    The truth of several outputs are arrays ``y.NAME`` in the file.

    Args:
        data: A path as of `read_inputs`; or ``(x, y)`` with a path in place of either, where `y` may also be the
            name of a column of the CSV file `x`; or anything else.
        name: Name of the argument, for messages.

    Raises:
        InputError: See `read_inputs`; or the CSV file does not have the column.
        StorageError: A file cannot be read.
    """
    if isinstance(data, tuple) and len(data) == 2:
        x, y = data
        if is_path(x) and isinstance(y, str) and _suffix(x, name) == _TABLE and not y.lower().endswith(_ARRAYS):
            table = _read_table(_file(x, name))
            (column,) = table.select([y], fix=f"name the column of true labels or values: {name}=(path, column).")
            return table.without(y), column
        return read_inputs(x, name), _read_array(y, name, "y")
    if not is_path(data):
        return read_inputs(data, name)
    if _suffix(data, name) == _TABLE:
        return _read_table(_file(data, name))
    arrays = _read_arrays(_file(data, name), name)
    by_output = {key.removeprefix("y."): array for key, array in arrays.items() if key.startswith("y.")}
    truth = arrays.get("y", by_output or None)
    return select_inputs(arrays) if truth is None else (select_inputs(arrays), truth)


def read_calibration(data: object, evaluation: object) -> object:
    """Return calibration data, without the column of true labels that `evaluation` names.

    Args:
        data: Path of a file as of `read_inputs`; or a pair as of `read_evaluation`, whose column is left out; or
            anything else.
        evaluation: The argument `evaluation` of `build`, as the caller passed it.

    Raises:
        InputError: See `read_inputs`.
        StorageError: A file cannot be read.
    """
    name = "calibration"
    target = evaluation[1] if isinstance(evaluation, tuple) and len(evaluation) == 2 else None
    if isinstance(data, tuple) and len(data) == 2:  # the form of evaluation data
        data, target = data
    table = read_inputs(data, name)
    target = target if isinstance(target, str) else getattr(target, "name", None)
    if is_path(data) and _suffix(data, name) == _TABLE and isinstance(target, str):
        return table.without(target)  # type: ignore[attr-defined]
    return table


def read_labels(labels: object) -> Sequence[Any] | Mapping[str, Sequence[Any]] | None:
    """Return labels: of a file one per line, or JSON: a list, or lists by output name; else the labels themselves.

    Args:
        labels: A sequence of labels, None, or the path of a text or ``.json`` file.

    Raises:
        InputError: The file does not exist, is not UTF-8, or is not a JSON list of texts.
        StorageError: The file cannot be read.
    """
    if labels is None or not is_path(labels):
        return labels  # type: ignore[return-value]  # checked against the model later
    path = _file(labels, "labels")
    try:
        text = read_bytes(path, limit=_MAX_LABEL_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"labels: {path.name} is not a text in UTF-8: {error}.", fix="save it as UTF-8.") from error
    if path.suffix.lower() == ".json":
        try:
            return msgspec.convert(json.loads(text), type=list[str] | dict[str, list[str]])
        except (ValueError, RecursionError, msgspec.ValidationError) as error:
            raise InputError(
                f"labels: {path.name} is not a JSON list of texts, nor such lists by output: {error}."
            ) from error
    lines = [line.strip() for line in text.splitlines()]
    return lines[:-1] if lines and not lines[-1] else lines


def _read_arrays(path: Path, name: str) -> dict[str, np.ndarray]:
    if path.suffix.lower() not in _ARRAYS:
        with open_file(path):
            pass
        raise InputError(
            f"{name}: got the file {path.name}, expected {', '.join(_ARRAYS)} or {_TABLE}.",
            fix="write arrays by np.savez(path, x=x, y=y).",
        )
    return read_array_file(path, name)


def _read_table(path: Path) -> CsvTable:
    from edgeml.preprocessing.csv_table import read_csv

    return read_csv(path)


def _file(path: object, name: str) -> Path:
    return Path(checked_path(path, name))  # type: ignore[arg-type]  # `is_path` holds


def _suffix(path: object, name: str) -> str:
    return _file(path, name).suffix.lower()


def _split(data: object) -> tuple[object, object]:
    return data if isinstance(data, tuple) and len(data) == 2 else (data, None)


def _read_array(value: object, name: str, key: str = "x") -> object:
    """Return the array of a file, of several arrays that of the key, in place of its path; other values as they are."""
    if not is_path(value):
        return value
    arrays = _read_arrays(_file(value, name), name)
    if key not in arrays and len(arrays) > 1:
        raise InputError(f"{name}: got the arrays {', '.join(arrays)} as {key}, expected one array or '{key}'.")
    return arrays.get(key, next(iter(arrays.values())))
