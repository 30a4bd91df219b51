from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import GAPS
from edgeml.trainers.csv_table import read_csv_table

HOUSES = """area,rooms,district,price
120.5,4,Old Town,500
,3,"Hill, side",410
88,NA,,390
61,2,null,200
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order mark"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_table_is_what_pandas_reads(mark: bytes, ending: str, tmp_path: Path) -> None:
    data = mark + HOUSES.replace("\n", ending).encode()
    table = read_csv_table(written(tmp_path, data), target="price")
    wanted = pd.read_csv(
        io.BytesIO(data),
        keep_default_na=False,
        na_values=sorted(GAPS),
        encoding="utf-8-sig",
        dtype={"district": object},
    )
    assert table.target is not None
    assert table.target.tolist() == wanted.pop("price").tolist()
    pd.testing.assert_frame_equal(table.inputs, wanted, check_dtype=False)
    assert [column.dtype for _, column in table.inputs.items()] == [np.float64, np.float64, np.dtype(object)]
    assert table.remarks == ()


def test_gaps_are_those_of_pandas() -> None:
    fields = sorted(GAPS)
    text = "a,b\n" + "".join(f"{field},1\n" for field in fields)
    assert pd.read_csv(io.StringIO(text))["a"].isna().all()
    almost = [f"{field} " for field in fields] + ["none", "-", "?"]
    text = "a,b\n" + "".join(f"{field},1\n" for field in almost)
    assert not pd.read_csv(io.StringIO(text))["a"].isna().any()


def test_columns_and_text_are_as_they_are_said_to_be(tmp_path: Path) -> None:
    path = written(tmp_path, "b,code,a,y\n1,01,2,yes\n3,02,4,no\n5,01,6,yes\n7,01,8,no\n")
    table = read_csv_table(path, target="y", columns=["a", "code"], text=["code"])
    assert list(table.inputs) == ["a", "code"]
    assert table.inputs["code"].tolist() == ["01", "02", "01", "01"]
    assert table.target is not None
    assert (table.target == ["yes", "no", "yes", "no"]).all()


def test_text_that_tells_rows_apart_is_remarked(tmp_path: Path) -> None:
    path = written(tmp_path, "name,y\nAnn,1\nBob,2\nCid,3\nDan,4\n")
    (remark,) = read_csv_table(path, target="y").remarks
    assert "'name' has 4 different texts in 4 rows" in remark


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("a,y\n", ["no rows"]),
        ("a,y\n\n\n", ["no rows"]),
        ("a;y\n1;2\n", ["no commas, but semicolons", "commas"]),
        ("a\ty\n1\t2\n", ["no commas, but tabs"]),
        ("a,y\n1,2\n3;4\n", ["line 3", "got 1 fields, expected 2"]),
        ("a,y\n1,2,\n", ["line 2", "got 3 fields, expected 2"]),
        ('a,y\n"1,2\n', ["cannot be read as CSV"]),
        ("a,b\n1,2\n", ["no column 'y'", "it has a, b"]),
        ("a,y,y\n1,2,3\n", ["column 'y' is there twice"]),
        ("a,a,y\n1,2,3\n", ["column 'a' is there twice"]),
        (",a,y\n0,1,2\n", ["column 1 has no name", "data.columns"]),
        ("y\n1\n2\n", ["no column but the target"]),
        ("a,y\n1,2\n2,\n3,4\n", ["line 3, column 'y'", "target is missing"]),
        ("a,y\n1,2\n2,3\nthree,4\n5,6\n", ["line 4, column 'a'", "'three'", "as 3 other rows", "data.text = ['a']"]),
        ("a,y\n1,2\ninf,3\n3,4\n", ["line 3, column 'a'", "'inf'"]),
        ("a,y\n1_0,2\n2,3\n3,4\n", ["line 2, column 'a'", "'1_0'"]),
        ('a,y\n"1,5",2\n"2,5",3\n"3,5",4\n', ["line 2, column 'a'", "'1,5'", "a point"]),
        ("a,y\n,2\nNA,3\n", ["column 'a' has nothing but gaps"]),
        ("a,y\n1,2\n".encode("utf-16"), ["cannot be read as CSV", "UTF-8"]),
        (b"a,y\nM\xfcller,2\n", ["cannot be read as CSV", "UTF-8"]),
    ],
)
def test_a_hostile_table_is_refused_with_the_place(text: str | bytes, words: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, text)
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        read_csv_table(path, target="y")
    for word in ["table.csv", *words]:
        assert word in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": ["a", "a"]}, ["names a column twice"]),
        ({"columns": ["a", "y"]}, ["or the target"]),
        ({"columns": ["c"]}, ["no column 'c'"]),
        ({"text": ["c"]}, ["no column 'c'"]),
        ({"columns": ["a"], "text": ["b"]}, ["data.text names 'b'"]),
        ({"kinds": {"b": "numbers"}}, ["line 2, column 'b'", "'x'", "expected a number"]),
    ],
)
def test_options_that_do_not_fit(options: dict[str, object], words: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,y\n1,x,2\n2,z,3\n")
    with pytest.raises(InputError) as caught:
        read_csv_table(path, target="y", **options)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file not found"):
        read_csv_table(tmp_path / "absent.csv")
