"""`edgeml predict -o FILE`: endings, columns of CSV, id columns, and text that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import edgeml
from edgeml.cli.prediction_files import encode_csv

Run = Callable[..., "subprocess.CompletedProcess[str]"]
FORMULA = "=cmd|' /C calc'!A0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of a table with text, ``model.edgeml``, and rows with ids for it, ``new.csv``."""
    path = tmp_path_factory.mktemp("predict")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"town": rng.choice(["Ulm", "Bonn"], 200), "age": rng.integers(18, 90, 200).astype(float)})
    truth = np.where(rows.age > 50, FORMULA, np.where(rows.town == "Ulm", "-1", "yes"))
    model = make_pipeline(
        ColumnTransformer([("town", OneHotEncoder(), ["town"])], remainder="passthrough"),
        LogisticRegression(max_iter=500),
    ).fit(rows, truth)
    edgeml.build(model, evaluation=(rows, truth), recipes=["onnx-fp32"]).save(path / "model.edgeml")
    rows.insert(0, "customer", [f"{i:03}" for i in range(200)])
    rows["phone"] = "+49 1"
    rows["yes"] = "@x"
    rows[:20].to_csv(path / "new.csv", index=False)
    return path


def lines_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.slow
def test_csv_has_the_ids_the_labels_and_the_scores_under_the_names_of_the_classes(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    done = run("predict", "model.edgeml", "new.csv", "-o", output, "--id", "customer", "--id", "phone", cwd=folder)
    assert done.returncode == 0, done.stderr
    head, *rows = lines_of(output.read_text(encoding="utf-8"))
    assert head == ["customer", "phone", "labels", "-1", f"'{FORMULA}", "yes"]
    assert [row[:2] for row in rows] == [[f"{i:03}", "'+49 1"] for i in range(20)]
    session = edgeml.load(folder / "model.edgeml")
    table = pd.read_csv(folder / "new.csv", usecols=["town", "age"])
    expected = {"town": table.town.to_numpy(str), "age": table.age.to_numpy()}
    assert [row[2].removeprefix("'") for row in rows] == session.classify(expected).tolist()
    scores = np.array([row[3:] for row in rows], np.float32)
    np.testing.assert_array_equal(scores, np.asarray(session.predict(expected)))


@pytest.mark.slow
def test_classes_that_have_the_name_of_another_column_get_a_prefix(run: Run, folder: Path) -> None:
    done = run("predict", "model.edgeml", "new.csv", "-o", "-", "--id", "yes", cwd=folder)
    assert done.returncode == 0, done.stderr
    head, first, *_ = lines_of(done.stdout)
    assert head == ["yes", "labels", "score_-1", f"score_{FORMULA}", "score_yes"]
    assert first[0] == "'@x"
    assert done.stderr == ""


@pytest.mark.slow
def test_npz_has_the_ids_as_arrays(run: Run, folder: Path, tmp_path: Path) -> None:
    done = run("predict", "model.edgeml", "new.csv", "-o", tmp_path / "out.npz", "--id", "customer", cwd=folder)
    assert done.returncode == 0, done.stderr
    arrays = np.load(tmp_path / "out.npz")
    assert arrays["customer"].tolist() == [f"{i:03}" for i in range(20)]
    assert arrays["scores"].shape == (20, 3)


@pytest.mark.parametrize("output", ["out.parquet", "out.tsv", "out.txt", "out"])
def test_other_endings_are_refused_with_those_that_are_supported(
    output: str, run: Run, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "absent.edgeml").touch()  # is not opened
    done = run("predict", tmp_path / "absent.edgeml", folder / "new.csv", "-o", tmp_path / output)
    assert done.returncode == 2
    assert "expected a name that ends in .csv or .npz" in done.stderr
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["new.csv", "-o", "-", "--json"], "--output - and --json both print to standard output"),
        (["new.csv", "-o", "out.csv", "--id", "custommer"], "column 'custommer' of new.csv is missing"),
        (["new.csv", "-o", "out.csv", "--id", "labels"], "column 'labels' of new.csv is missing"),
        (["model.edgeml", "-o", "out.csv", "--id", "customer"], "--id: got the input model.edgeml, expected a .csv"),
        (["twice.csv", "-o", "out.csv", "--id", "a"], "column 'a' of twice.csv is there twice"),
        (["taken.csv", "-o", "out.csv", "--id", "labels"], "the predictions have a column 'labels' of their own"),
        (["model.edgeml", "-o", "out.csv"], "is an edgeml package, expected arrays in a .npy or .npz file"),
        (["model.txt", "-o", "out.csv"], "model.txt is a text file, expected arrays in a .npy or .npz file"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_or_copied(options: list[str], words: str, run: Run, folder: Path) -> None:
    (folder / "twice.csv").write_text("a,a,town,age\n1,2,Ulm,3\n")
    (folder / "taken.csv").write_text("labels,town,age\n1,Ulm,3\n")
    (folder / "model.txt").write_text("0.1 0.2\n")
    done = run("predict", "model.edgeml", *options, cwd=folder)
    assert done.returncode == 2
    assert (done.stdout == "") == ("--json" not in options)
    assert words in done.stderr
    assert not (folder / "out.csv").exists()


@pytest.mark.parametrize(
    ("arrays", "options", "text"),
    [
        ({"scores": [0.5, -1.5]}, {}, "scores\n0.5\n-1.5\n"),
        ({"a": [[1, 2]], "b": ["=1+1"]}, {}, "a_0,a_1,b\n1,2,'=1+1\n"),
        ({"b": ["-1.5e3", "+7", "-", "- 1", "\tx", "@a", "1-2", "-inf"]}, {},
         "b\n-1.5e3\n+7\n'-\n'- 1\n'\tx\n'@a\n1-2\n'-inf\n"),
        ({"scores": [[0.25]], "labels": [True]}, {"scores": "scores", "classes": (False, True)},
         "labels,True\nTrue,0.25\n"),
        ({"scores": [[0.25, 0.75]], "labels": [-7]}, {"scores": "scores", "classes": (3, -7)},
         "labels,3,-7\n-7,0.25,0.75\n"),
        ({"scores": [[1.0, 2.0, 3.0]], "labels": [0]}, {"scores": "scores", "classes": (0, 1)},
         "labels,scores_0,scores_1,scores_2\n0,1.0,2.0,3.0\n"),
        ({"a": [1], "labels": ["x"]}, {"id_columns": {"a": ["007"]}}, "a,labels,output_a\n007,x,1\n"),
    ],
)  # fmt: skip
def test_columns(arrays: dict[str, Any], options: dict[str, Any], text: str) -> None:
    encoded = encode_csv({name: np.array(values) for name, values in arrays.items()}, **options)
    assert encoded.decode() == text
