from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgeml.core.errors import InputError
from edgeml.core.tensors import Label
from edgeml.preprocessing.csv_table import CsvColumn, CsvTable, read_csv


def read(folder: Path, text: str | bytes) -> CsvTable:
    path = folder / "x.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_csv(path)


def column(*fields: str) -> CsvColumn:
    return CsvColumn("x.csv", "c", fields, range(2, 2 + len(fields)))


TEXT = 'town,price\n"Ulm, Donau",1.5\n"say ""hi""",-2e3\n"two\nlines",0.1\n'


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order mark"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_quotes_marks_and_line_ends_are_read_as_pandas_reads_them(mark: bytes, ending: str, tmp_path: Path) -> None:
    data = mark + TEXT.replace("\n", ending).encode()
    towns, prices = read(tmp_path, data).select(["town", "price"])
    expected = pd.read_csv(io.BytesIO(data), encoding="utf-8-sig", dtype={"town": object})
    assert towns.texts().tolist() == expected["town"].tolist()
    assert prices.numbers().tolist() == [1.5, -2e3, 0.1]


def test_fields_of_text_are_kept_as_they_are() -> None:
    fields = ["01067", " x ", "1e5", "True", "1,5", "9007199254740993"]
    assert column(*fields).texts().tolist() == fields


def test_spellings_of_missing_values_that_are_known_are_texts() -> None:
    garage = column("None", "NA", "", " ", "Attached")
    assert garage.texts(missing=True, known=["None", "Attached"]).tolist() == ["None", "", "", "", "Attached"]
    assert garage.texts(missing=True, known=["None", " "]).tolist() == ["None", "", "", " ", "Attached"]
    with pytest.raises(InputError, match="line 3, column 'c': got 'NA', which is a missing value, expected text"):
        garage.texts(known=["None"])


def test_other_texts_of_a_closed_set_are_refused_with_the_line() -> None:
    with pytest.raises(InputError, match="line 3, column 'c': got 'south', which the model was not trained on"):
        column("north", "south").texts(known=["north", "east"], closed=True)


def test_numbers_and_truth_values() -> None:
    assert column("1", " 2.5 ", "-3e-2").numbers().tolist() == [1, 2.5, -0.03]
    assert column("True", "false", "TRUE", "0").numbers().tolist() == [1, 0, 1, 0]
    np.testing.assert_array_equal(column("True", "", "NaN").numbers(missing=True), [1, np.nan, np.nan])


def test_numbers_are_the_nearest_float64() -> None:
    fields = [repr(value) for value in np.random.default_rng(0).normal(0, 1e-3, 100).tolist()]
    assert column(*fields).numbers().tolist() == [float(field) for field in fields]


@pytest.mark.parametrize("whole", [2**53 - 1, 2**53, 2**53 + 2, 2**60, 10**20, -(2**53)])
def test_whole_numbers_that_float64_holds_are_read(whole: int) -> None:
    assert int(column("1", str(whole)).numbers()[1]) == whole
    assert int(column(f"{whole}.0").numbers()[0]) == whole


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (str(2**53 + 1), "float64 rounds to 9007199254740992"),
        (str(-(2**60) - 1), "float64 rounds to"),
        (f"{2**60 + 3}.0", "float64 rounds to"),
        ("1,5", "without decimal comma"),
        ("1.234,5", "without decimal comma or thousands separators"),
        ("1,234,567.5", "without decimal comma or thousands separators"),
        ("1'234", "without decimal comma or thousands separators"),
        ("1 234", "without decimal comma or thousands separators"),
        ("1.234.567", "without decimal comma or thousands separators"),
        ("5%", "got '5%', expected a number"),
        ("1_000", "got '1_000', expected a number"),
        ("inf", "got 'inf', expected a number"),
        ("1e400", "got '1e400', expected a number"),
        ("0x10", "got '0x10', expected a number"),
        ("True", "got 'True' among numbers"),
        ("", "the field is empty, expected a number"),
        ("NA", "got 'NA', which is a missing value, expected a number"),
    ],
)
def test_fields_that_are_not_numbers_are_refused_with_the_line(field: str, words: str) -> None:
    with pytest.raises(InputError, match=f"x.csv, line 3, column 'c': .*{words}"):
        column("7", field).numbers()


@pytest.mark.parametrize(
    ("fields", "known", "expected"),
    [
        (["01", "02"], ["01", "02"], ["01", "02"]),
        (["1", "2"], ["01", "02"], ["1", "2"]),
        (["3", "1"], ["1", "3"], ["3", "1"]),
        (["3", "1"], [1, 3], [3, 1]),
        (["03", "1.0"], [1, 3], [3, 1]),
        ([str(2**53 + 1), "1"], [1, 2**53 + 1], [2**53 + 1, 1]),
        ([str(2**64), "1"], [1, 2**64], [2**64, 1]),
        (["1.5", "2"], [1.5, 2.0], [1.5, 2.0]),
        (["True", "false"], [False, True], [True, False]),
        (["1", "0"], [False, True], [1, 0]),
        (["0", "1"], ["cat", "dog"], [0, 1]),
        (["dog", "cat"], ["cat", "dog"], ["dog", "cat"]),
        (["None", "some"], ["None", "some"], ["None", "some"]),
        (["bird"], [0, 1], ["bird"]),
        (["0", "2"], [], [0, 2]),
        (["0.5", "2"], [], [0.5, 2.0]),
        (["01", "02"], [], ["01", "02"]),
        (["True", "False"], [], ["True", "False"]),
    ],
)
def test_labels_have_the_type_of_the_models_labels(
    fields: list[str], known: list[Label], expected: list[object]
) -> None:
    labels = column(*fields).labels(known).tolist()
    assert labels == expected
    assert [type(label) for label in labels] == [type(label) for label in expected]


@pytest.mark.parametrize("field", ["", "NA", " "])
def test_a_missing_label_is_refused(field: str) -> None:
    with pytest.raises(InputError, match=r"line 3, column 'c': .*expected a label"):
        column("yes", field).labels(["yes", "no"])


def test_spaces_around_names_do_not_matter(tmp_path: Path) -> None:
    table = read(tmp_path, "town, age,price \nUlm,3,1\n")
    assert [column.fields for column in table.select([" age", "price", "town"])] == [["3"], ["1"], ["Ulm"]]


def test_spaces_that_distinguish_two_columns_matter(tmp_path: Path) -> None:
    table = read(tmp_path, "age, age\n3,4\n")
    assert [column.fields for column in table.select([" age", "age"])] == [["4"], ["3"]]
    with pytest.raises(InputError, match="column 'age' is there twice"):
        table.select(["age"])


def test_a_column_without_a_name_has_that_of_pandas(tmp_path: Path) -> None:
    table = read(tmp_path, ",age\n7,3\n")
    (index,) = table.select(["Unnamed: 0"])
    assert index.fields == ["7"]
    assert list(pd.read_csv(tmp_path / "x.csv")) == list(table.names)


def test_a_table_without_a_column(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b,c\n1,2,3\n4,5,6\n")
    assert table.without("b").names == ("a", "c")
    assert [table.without("b").at(i).fields for i in range(2)] == [["1", "4"], ["3", "6"]]
    assert table.without("z") is table


def test_a_device_is_refused() -> None:
    with pytest.raises(InputError, match="/dev/zero: expected a file, got a device"):
        read_csv(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("mark", "words"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")], ids=["semicolon", "tab", "bar"]
)
def test_decimal_commas_with_another_separator_are_refused_for_the_separator(
    mark: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"the fields are separated by {words}, expected commas"):
        read(tmp_path, f"a{mark}b\n1,5{mark}2\n")


@pytest.mark.parametrize(
    ("header", "name", "fix"),
    [
        ("Town,age", "town", "make 'Town' the same as 'town': upper and lower case differ"),
        ("twon,age", "town", "did you mean 'twon'"),
        ("town;age", "town", "separate the fields by commas, not by ';'"),
        ("x,age", "town", "name the columns in the first line"),
    ],
)
def test_a_missing_column_is_refused_with_the_nearest(header: str, name: str, fix: str, tmp_path: Path) -> None:
    table = read(tmp_path, f"{header}\n{','.join('1' for _ in header.split(','))}\n")
    with pytest.raises(InputError, match="columns are missing: town; it has ") as caught:
        table.select([name])
    assert fix in caught.value.fix
