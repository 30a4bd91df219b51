from __future__ import annotations

from typing import Any

import numpy as np
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
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(WANTED, np.float32))


def test_one_row_and_none() -> None:
    assert prepare(TABLE, {"area": 1.0, "rooms": 2, "age": 3}, SPEC).tolist() == [[1, 2, 3]]
    assert prepare(TABLE, [], SPEC).shape == (0, 3)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([{"area": 1, "age": 2}], "row 0: columns are missing: rooms"),
        ({"area": [1], "age": [2]}, "columns are missing: rooms"),
        ([{"area": 1, "rooms": "3", "age": 2}], "row 0, column 'rooms': got '3', expected numbers"),
        ([{"area": 1, "rooms": None, "age": 2}], "row 0, column 'rooms': got None"),
        ([{"area": 1, "rooms": [3, 4], "age": 2}], "row 0, column 'rooms': got several values"),
        ({"area": [1, 2], "rooms": [3], "age": [4, 5]}, "different lengths"),
        ([[1, 2, 3], [1, 2]], r"row 1: got shape \[2\], expected 3 values"),
        ([[1, 2, "x"]], "row 0: got"),
        ([1, 2, 3], r"row 0: got shape \[\]"),
        (np.zeros(3), "got ndarray"),
        ("x.csv", "got str"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_table(raw: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"raw input 'features'.*{words}"):
        prepare(TABLE, raw, SPEC)
