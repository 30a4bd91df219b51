from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import GAPS
from edgeml.trainers.training_table import read_training_table

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
    table = read_training_table(written(tmp_path, data), target="price")
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
    assert len(table.remarks) == 1
    assert "'district': 1 fields such as 'null' count as missing" in table.remarks[0]


def test_gaps_are_those_of_pandas() -> None:
    fields = sorted(GAPS)
    text = "a,b\n" + "".join(f"{field},1\n" for field in fields)
    assert pd.read_csv(io.StringIO(text))["a"].isna().all()
    almost = [f"{field} " for field in fields] + ["none", "-", "?"]
    text = "a,b\n" + "".join(f"{field},1\n" for field in almost)
    assert not pd.read_csv(io.StringIO(text))["a"].isna().any()


def test_columns_and_text_are_as_they_are_said_to_be(tmp_path: Path) -> None:
    path = written(tmp_path, "b,code,a,y\n1,01,2,yes\n3,02,4,no\n5,01,6,yes\n7,01,8,no\n")
    table = read_training_table(path, target="y", columns=["a", "code"], text=["code"])
    assert list(table.inputs) == ["a", "code"]
    assert table.inputs["code"].tolist() == ["01", "02", "01", "01"]
    assert table.target is not None
    assert (table.target == ["yes", "no", "yes", "no"]).all()


def test_dropped_columns_are_not_features(tmp_path: Path) -> None:
    path = written(tmp_path, ",customer id,a,y\n0,x7,1,2\n1,x8,3,4\n")
    table = read_training_table(path, target="y", drop=["customer id", "Unnamed: 0"])
    assert list(table.inputs) == ["a"]
    assert table.remarks == ()


def test_a_near_name_is_suggested_for_a_dropped_column(tmp_path: Path) -> None:
    path = written(tmp_path, "customer_id,a,y\n1,1,2\n2,3,4\n")
    with pytest.raises(InputError, match="did you mean 'customer_id'"):
        read_training_table(path, target="y", drop=["customer_ids"])


def test_digits_with_leading_zeros_are_text(tmp_path: Path) -> None:
    path = written(tmp_path, "zip,share,y\n01067,00.5,01\n04109,1,02\n80331,2,01\n01067,3,02\n01067,3,02\n")
    table = read_training_table(path, target="y")
    assert table.inputs["zip"].tolist() == ["01067", "04109", "80331", "01067", "01067"]
    assert table.inputs["share"].tolist() == [0.5, 1, 2, 3, 3]
    assert table.target is not None
    assert table.target.tolist() == ["01", "02", "01", "02", "02"]
    assert "column 'zip' has digits with leading zeros, and counts as text" in table.remarks


def test_true_and_false_are_numbers_as_features_and_labels_as_target(tmp_path: Path) -> None:
    path = written(tmp_path, "garden,y\nTrue,True\nfalse,False\n,True\nTRUE,False\n")
    table = read_training_table(path, target="y")
    np.testing.assert_array_equal(table.inputs["garden"], [1, 0, np.nan, 1])
    assert table.target is not None
    assert table.target.tolist() == ["True", "False", "True", "False"]


def test_a_column_that_is_stated_to_be_text_keeps_none_as_a_category(tmp_path: Path) -> None:
    path = written(tmp_path, "garage,y\nNone,1\nAttached,2\n,3\nNA,4\nNone,5\n")
    kept = read_training_table(path, target="y", text=["garage"])
    assert kept.inputs["garage"].fillna("(missing)").tolist() == ["None", "Attached", "(missing)", "NA", "None"]
    inferred = read_training_table(written(tmp_path, "garage,y\nNone,1\nAttached,2\nBasement,3\n"), target="y")
    assert inferred.inputs["garage"].isna().tolist() == [True, False, False]
    assert "data.text = ['garage'] keeps them as text" in inferred.remarks[0]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("9007199254740993\n1\n2\n", "float64 rounds to 9007199254740992"),
        ("True\n3.5\n2\n", "got 'True' among numbers"),
        ('1\n2\n"1,234.5"\n', "got '1,234.5', expected a number"),
    ],
)
def test_fields_that_would_change_as_numbers_are_refused(column: str, words: str, tmp_path: Path) -> None:
    rows = column.strip().split("\n")
    path = written(tmp_path, "y,a\n" + "".join(f"{i},{row}\n" for i, row in enumerate(rows)))
    with pytest.raises(InputError, match=words):
        read_training_table(path, target="y")


def test_text_that_tells_rows_apart_is_remarked(tmp_path: Path) -> None:
    path = written(tmp_path, "name,y\nAnn,1\nBob,2\nCid,3\nDan,4\n")
    (remark,) = read_training_table(path, target="y").remarks
    assert "'name' has 4 different texts in 4 rows" in remark


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("a,y\n", ["and no rows"]),
        ("a,y\n\n\n", ["and no rows"]),
        ("a;y\n1;2\n", ["separated by semicolons, expected commas"]),
        ("a\ty\n1\t2\n", ["separated by tabs"]),
        ("a,y\n1,2\n3;4\n", ["line 3", "got 1 fields, expected 2"]),
        ("a,y\n1,2,\n", ["line 2", "got 3 fields, expected 2"]),
        ('a,y\n"1,2\n', ["cannot be read as CSV"]),
        ("a,b\n1,2\n", ["data.target: columns are missing: y", "it has a, b"]),
        ("a,y,y\n1,2,3\n", ["column 'y' is there twice"]),
        ("a,a,y\n1,2,3\n", ["column 'a' is there twice"]),
        (",a,y\n0,1,2\n", ["column 1 does not have a name", "data.drop = ['Unnamed: 0']"]),
        ("y\n1\n2\n", ["expected at least one column"]),
        ("a,y\n1,2\n2,\n3,4\n", ["line 3, column 'y'", "target is missing"]),
        ("a,y\n1,2\n2,3\nthree,4\n5,6\n", ["line 4, column 'a'", "'three'", "as 3 other rows", "data.text = ['a']"]),
        ("a,y\n1,2\ninf,3\n3,4\n", ["line 3, column 'a'", "'inf'"]),
        ("a,y\n1_0,2\n2,3\n3,4\n", ["line 2, column 'a'", "'1_0'"]),
        ('a,y\n"1,5",2\n"2,5",3\n"3,5",4\n', ["line 2, column 'a'", "'1,5'", "a decimal point"]),
        ("a,y\n,2\nNA,3\n", ["column 'a' has nothing but missing values", "data.drop = ['a']"]),
        ("a,y\n1,2\n".encode("utf-16"), ["cannot be read as CSV", "UTF-8"]),
        (b"a,y\nM\xfcller,2\n", ["cannot be read as CSV", "UTF-8"]),
    ],
)
def test_a_hostile_table_is_refused_with_the_place(text: str | bytes, words: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, text)
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        read_training_table(path, target="y")
    for word in ["table.csv", *words]:
        assert word in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": ["a", "a"]}, ["data.columns names 'a' twice"]),
        ({"columns": ["a", "y"]}, ["data.columns names the target"]),
        ({"columns": ["c"]}, ["data.columns: columns are missing: c"]),
        ({"text": ["c"]}, ["data.text: columns are missing: c"]),
        ({"columns": ["a"], "text": ["b"]}, ["data.text names 'b'"]),
        ({"drop": ["c"]}, ["data.drop: columns are missing: c", "it has a, b, y"]),
        ({"drop": ["A"]}, ["data.drop: columns are missing: A", "make 'a' the same as 'A'"]),
        ({"drop": ["y"]}, ["data.drop names the target 'y'"]),
        ({"drop": ["a"], "columns": ["a", "b"]}, ["'a' is in data.columns and in data.drop"]),
        ({"drop": ["a", "b"]}, ["expected at least one column"]),
        ({"drop": ["a"], "text": ["a"]}, ["data.text names 'a'"]),
    ],
)
def test_options_that_do_not_fit(options: dict[str, object], words: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,y\n1,x,2\n2,z,3\n")
    with pytest.raises(InputError) as caught:
        read_training_table(path, target="y", **options)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_training_table(tmp_path / "absent.csv")
