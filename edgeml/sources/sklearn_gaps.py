"""Where a scikit-learn model takes missing values, found by asking it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np

from edgeml.core.tensors import TensorSpec
from edgeml.sources.sklearn_table import ModelTable

__all__ = ["gaps_of"]

_AT_ONCE = 256


def gaps_of(table: ModelTable, answer: Callable[[Any], Any]) -> tuple[TensorSpec, ...]:
    """The model's inputs with the columns where a missing value has a finite answer.

    Args:
        table: What the model reads.
        answer: Its method, from rows as it takes them.
    """

    def holds(columns: list[int]) -> np.ndarray:
        """Whether each of these columns may lack its value: all in one call, each in a row of its own."""
        inputs = table.samples(len(columns))
        for row, column in enumerate(columns):
            if table.typed:
                name = table.input_names[column]
                inputs[name][row, 0] = "" if table.columns[column].text else np.nan
            else:
                next(iter(inputs.values()))[row, column] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                made = np.asarray(answer(table.rows(inputs))).reshape(len(columns), -1)
            except Exception:  # noqa: BLE001  # scikit-learn raises many kinds; each means no
                return np.zeros(len(columns), bool)
        return np.ones(len(columns), bool) if made.dtype.kind in "OU" else np.isfinite(made).all(axis=1)

    places = list(range(len(table.columns)))
    found = _taken(holds, places, one_for_all=not table.framed and not table.typed)
    if table.typed:
        return tuple(
            msgspec.structs.replace(spec, missing_values=place in found)
            for place, spec in zip(places, table.specs(), strict=True)
        )
    (spec,) = table.specs()
    return (msgspec.structs.replace(spec, missing_values=len(found) == len(places) or tuple(sorted(found)) or False),)


def _taken(holds: Callable[[list[int]], np.ndarray], places: list[int], *, one_for_all: bool) -> set[int]:
    """The columns that may lack their values.

    Args:
        holds: Asks for some of them at once; a refusal of one is a refusal of all.
        places: The columns.
        one_for_all: Whether a model that refuses one column's gaps refuses all: so those that see one array.
    """
    found: set[int] = set()
    for group in _groups(places):
        answers = holds(group)
        if answers.any():
            found.update(place for place, taken in zip(group, answers, strict=True) if taken)
        elif one_for_all:
            return set()
        elif len(group) > 1:
            found.update(place for place in group if holds([place]).all())
    return found


def _groups(places: list[int]) -> Iterable[list[int]]:
    return (places[start : start + _AT_ONCE] for start in range(0, len(places), _AT_ONCE))
