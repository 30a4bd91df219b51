from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest

from edgeml.core.errors import InputError
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.preprocessing import Table, read_raw
from edgeml.preprocessing.csv_table import read_csv
from edgeml.preprocessing.table_files import declare_columns, inputs_of_table
from tests.support.raw_input_files import TABLE, read_one, write


@pytest.mark.parametrize(
    "text",
    [
        "area,rooms\n80.5,3\n120,5\n",
        "\ufeffarea,rooms\r\n80.5,3\r\n120,5\r\n",
        "rooms, district ,area\n3,north,80.5\n\n5,,1.2e2\n",
        '"area","rooms","note"\n"80.5"," 3 ","a, b\nc"\n120,5,""',
    ],
)
def test_tables(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", text.encode())
    found = read_one(path, TABLE)
    assert list(found) == ["area", "rooms"]
    np.testing.assert_array_equal(np.stack(list(found.values()), axis=1), [[80.5, 3], [120, 5]])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "x.csv is empty"),
        (b"area,rooms\n", "and no rows"),
        (b"area,rooms\n\n\n", "and no rows"),
        (b"area,age\n1,2\n", "columns are missing: rooms; it has area, age"),
        (b"1,2\n3,4\n", "columns are missing: area, rooms; it has 1, 2.*first line"),
        (b"area;rooms\n1;2\n", "separate the fields by commas, not by ';'"),
        (b"area\trooms\n1\t2\n", r"not by '\\t'"),
        (b"area,rooms\n1;2\n", "line 2: got 1 fields, expected 2"),
        (b"area,rooms\n1,2\n1,2,3\n", "line 3: got 3 fields, expected 2"),
        (b"area,rooms,area\n1,2,3\n", "column 'area' is there twice"),
        (b"area,rooms\n1,2\nmany,3\n", "line 3, column 'area': got 'many', expected a number"),
        (b"area,rooms\n1,\n", "line 2, column 'rooms': the field is empty, expected a number"),
        (b"area,rooms\n1,nan\n", "column 'rooms': got 'nan'"),
        (b"area,rooms\n1,inf\n", "column 'rooms': got 'inf'"),
        (b"area,rooms\n1,1_000\n", "column 'rooms': got '1_000'"),
        (b'area,rooms\n1,"1,5"\n', "column 'rooms': got '1,5'"),
        ("area,rooms\n1,2\n".encode("utf-16"), "cannot be read as CSV"),
        (b"area,rooms\n1,\xff\n", "cannot be read as CSV"),
        (b"area,rooms\n1,\0\n", "x.csv"),
        (b'area,rooms\n1,"2\n', "cannot be read as CSV"),
        (b"area,rooms\n" + b"1" * 200_000 + b",2\n", "cannot be read as CSV.*field larger"),
    ],
)
def test_bad_tables(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read_one(write(tmp_path / "x.csv", data), TABLE)


def test_a_table_with_text_and_gaps(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "district,area,rooms\nSüd,1.5,\n,NA,3\nn/a, 2 ,4\n".encode())
    specs = (TensorSpec("a", (None, 2), "float64", gaps=True), TensorSpec("b", (None, 1), "string", gaps=True))
    tables = {"a": Table(columns=("area", "rooms")), "b": Table(columns=("district",))}
    found = cast("dict[str, np.ndarray]", read_raw(path, Signature(specs, ()), tables))
    frame = pd.read_csv(path)
    for name in ("area", "rooms"):
        np.testing.assert_array_equal(found[name], frame[name])
    assert found["district"].tolist() == frame["district"].fillna("").tolist()


@pytest.mark.parametrize(
    ("gaps", "data", "words"),
    [
        ((0,), b"area,rooms,district\n,,x\n", "line 2, column 'rooms': the field is empty, expected a number"),
        (
            (0,),
            b"area,rooms,district\n,NA,x\n",
            "column 'rooms': got 'NA', which is a missing value, expected a number",
        ),
        (True, b"area,rooms,district\n,,\n", "line 2, column 'district': the field is empty, expected text"),
        (True, b"area,rooms,district\nx,,a\n", "column 'area': got 'x', expected a number"),
        (True, b"area,rooms\n1,2\n", "columns are missing: district"),
    ],
)
def test_gaps_and_text_that_the_model_does_not_take(
    gaps: bool | tuple[int, ...], data: bytes, words: str, tmp_path: Path
) -> None:
    specs = (TensorSpec("a", (None, 2), "float64", gaps=gaps), TensorSpec("b", (None, 1), "string"))
    tables = {"a": Table(columns=("area", "rooms")), "b": Table(columns=("district",))}
    with pytest.raises(InputError, match=words):
        read_raw(write(tmp_path / "x.csv", data), Signature(specs, ()), tables)


def one_input(*shape: int) -> Signature:
    return Signature((TensorSpec("x", (None, *shape), "float32"),), ())


TWO = Signature((TensorSpec("a", (None, 1), "float64"), TensorSpec("b", (None, 1), "string")), ())


@pytest.mark.parametrize(
    ("signature", "text", "expected"),
    [
        (one_input(2), "p,q\n1,2\n", {"x": ("p", "q")}),
        (one_input(2), "0,1\n1,2\n", {"x": ("0", "1")}),
        (TWO, "b,a,c\nx,1,2\n", {"a": ("a",), "b": ("b",)}),
        (TWO, "p,q\n1,x\n", {"a": ("p",), "b": ("q",)}),
        (one_input(8, 8, 1), "p,q\n1,2\n", {}),
    ],
    ids=["one input", "numbered columns", "by name", "by order", "images"],
)
def test_columns_of_a_file_are_declared(
    signature: Signature, text: str, expected: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    table = read_csv(write(tmp_path / "x.csv", text.encode()))
    assert declare_columns(table, signature) == {name: Table(columns=columns) for name, columns in expected.items()}


@pytest.mark.parametrize(
    ("signature", "text", "words"),
    [
        (one_input(2), "0.5,1.5\n1,2\n", "got the numbers 0.5, 1.5 in the first line, expected the columns' names"),
        (one_input(3), "p,q\n1,2\n", r"has 2 columns \(p, q\), and the model expects 3"),
        (TWO, "p\n1\n", r"has 1 columns \(p\), and the model expects 2"),
    ],
)
def test_columns_that_are_not_those_of_the_model_are_refused(
    signature: Signature, text: str, words: str, tmp_path: Path
) -> None:
    table = read_csv(write(tmp_path / "x.csv", text.encode()))
    with pytest.raises(InputError, match=words):
        declare_columns(table, signature)


def test_a_table_is_refused_for_images(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path / "x.csv", b"p,q\n1,2\n"))
    with pytest.raises(InputError, match=r"x\.csv is a table, and the model's inputs x are not declared"):
        inputs_of_table(table, one_input(8, 8, 1), {})
