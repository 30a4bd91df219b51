from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from edgeml.core.errors import InputError
from edgeml.core.tensors import TensorSpec
from edgeml.preprocessing import Table
from edgeml.preprocessing.table import prepare

SPEC = TensorSpec("features", (None, 3), "float32")
TABLE = Table(columns=("area", "rooms", "age"))
WANTED = [[80.5, 3, 10], [120, 5, 0]]


@pytest.mark.parametrize(
    "raw",
    [
        [{"age": 10, "area": 80.5, "rooms": 3, "district": "north"}, {"area": 120, "rooms": np.int8(5), "age": False}],
        {"rooms": [3, 5], "age": np.array([10, 0]), "area": (80.5, 120), "price": ["a", "b"]},
        WANTED,
        np.array(WANTED),
        [np.array(row) for row in WANTED],
        ((80.5, 3, 10), (120, 5, 0)),
    ],
)
def test_rows_and_columns(raw: Any) -> None:
    found = prepare(TABLE, raw, SPEC)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, WANTED)


def test_one_row_and_none() -> None:
    assert prepare(TABLE, {"area": 1.0, "rooms": 2, "age": 3}, SPEC).tolist() == [[1, 2, 3]]
    assert prepare(TABLE, [], SPEC).shape == (0, 3)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([{"area": 1, "age": 2}], "row 0: columns are missing: rooms"),
        ({"area": [1], "age": [2]}, "columns are missing: rooms"),
        ([{"area": 1, "rooms": "3", "age": 2}], "row 0, column 'rooms': got '3', expected a number"),
        ({"area": [1], "rooms": ["3"], "age": [2]}, "column 'rooms': got '3', expected a number"),
        ([{"area": 1, "rooms": [3, 4], "age": 2}], "row 0, column 'rooms': got 2 values, expected a single one"),
        ({"area": [1, 2], "rooms": [3], "age": [4, 5]}, "different lengths"),
        ([[1, 2, 3], [1, 2]], "row 1: got 2 values, expected 3"),
        ([[1, 2, "x"]], "row 0, column 'age': got 'x', expected a number"),
        ([1, 2, 3], "row 0: got 1, expected 3 values"),
        (np.zeros(3), "got ndarray"),
        ("x.csv", "got str"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_table(raw: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"raw input 'features'.*{words}"):
        prepare(TABLE, raw, SPEC)


def test_gaps_among_numbers() -> None:
    wanted = [[np.nan, 3, 10], [120, np.nan, 0]]
    for raw in (
        [{"area": None, "rooms": 3, "age": 10}, {"area": 120, "rooms": float("nan"), "age": 0}],
        {"area": [None, 120], "rooms": np.array([3, np.nan]), "age": np.array([10, 0], object)},
        [[None, 3, 10], (120, np.nan, 0)],
        pd.DataFrame({"age": [10, 0], "rooms": [3, None], "area": [None, 120], "note": ["a", "b"]}),
    ):
        np.testing.assert_array_equal(prepare(TABLE, raw, SPEC), wanted)


def test_text() -> None:
    spec, table = TensorSpec("district", (None, 1), "string"), Table(columns=("district",))
    for raw in (
        [{"district": "Süd"}, {"district": None}, {"district": ""}],
        {"district": ["Süd", float("nan"), ""], "area": [1, 2, 3]},
        [["Süd"], [None], [""]],
        pd.DataFrame({"district": ["Süd", None, ""]}),
    ):
        found = prepare(table, raw, spec)
        assert found.dtype.kind == "U"
        assert found.tolist() == [["Süd"], [""], [""]]
    with pytest.raises(InputError, match="row 0, column 'district': got 3, expected text"):
        prepare(table, [{"district": 3}], spec)
