"""CSV files to build and predict, against scikit-learn on the table that the model was trained on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

Run = Callable[..., "CompletedProcess[str]"]

pytestmark = pytest.mark.slow  # each test builds a package


def table(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table with one column of each kind that CSV readers like to change, and a price."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "zip": rng.choice(["01067", "04109", "20095"], rows),
            "garage": rng.choice(["None", "NA", "Attached"], rows),
            "garden": rng.choice([True, False], rows),
            "area": rng.normal(80, 20, rows),
            "town": rng.choice(["Ulm", "Halle, Saale", " Bonn"], rows),
        }
    )
    effects = {"01067": 0, "04109": 60, "20095": 120, "None": -90, "NA": -40, "Attached": 0}
    price = 3 * frame["area"] + frame["zip"].map(effects) + frame["garage"].map(effects) + 50 * frame["garden"]
    return frame, (price + 20 * (frame["town"] == "Ulm")).to_numpy()


def build_and_predict(run: Run, folder: Path, model: Any, held_out: str, new: str, recipe: str = "onnx-fp32") -> Any:
    """Build a package from a model and a CSV file, and return the predictions on another as text."""
    skops.io.dump(model, folder / "model.skops")
    (folder / "held-out.csv").write_text(held_out, encoding="utf-8")
    (folder / "new.csv").write_text(new, encoding="utf-8")
    done = run(
        "build", "model.skops", "-o", "p.edgeml", "--evaluation", "held-out.csv", "--target", "y", "--recipe", recipe,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = run("predict", "p.edgeml", "new.csv", "-o", "out.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(folder / "out.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize("unknown", ["ignore", "error"])
def test_each_column_is_read_by_the_type_that_the_model_declares(run: Run, unknown: str, tmp_path: Path) -> None:
    frame, price = table(300, 0)
    encoder = OneHotEncoder(handle_unknown=unknown)
    columns = ColumnTransformer([("text", encoder, ["zip", "garage", "town"])], remainder="passthrough")
    model = make_pipeline(columns, Ridge(alpha=1e-3)).fit(frame, price)
    held_out, truth = table(200, 1)
    new, _ = table(100, 2)
    spaced = new.assign(note="x")[["note", *reversed(new.columns)]].to_csv(index=False)
    header, _, body = spaced.partition("\n")
    text = f"\ufeff{header.replace(',', ' , ')}\n{body}".replace("\n", "\r\n")
    scores = build_and_predict(run, tmp_path, model, held_out.assign(y=truth).to_csv(index=False), text)["scores"]
    np.testing.assert_allclose(scores.astype(float), model.predict(new), rtol=1e-5)


def test_spelled_missing_values_are_missing_where_the_model_does_not_know_them(run: Run, tmp_path: Path) -> None:
    frame, price = table(300, 0)
    frame = frame.replace({"garage": {"NA": np.nan}})
    filled = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    model = make_pipeline(
        ColumnTransformer([("g", filled, ["garage"]), ("n", "passthrough", ["area", "garden"])]), Ridge()
    ).fit(frame, price)
    new = frame[:100]
    text = new.to_csv(index=False, na_rep="NA")
    assert ",NA," in text
    assert ",None," in text
    scores = build_and_predict(run, tmp_path, model, frame.assign(y=price).to_csv(index=False), text)["scores"]
    np.testing.assert_allclose(scores.astype(float), model.predict(new), rtol=1e-5)


@pytest.mark.parametrize(
    "labels",
    [("01", "02"), ("None", "some"), (3, 7), (False, True), (2**53 + 1, 2**53 + 2)],
    ids=["leading zeros", "None", "whole numbers", "truth values", "large whole numbers"],
)
def test_labels_are_read_by_the_type_of_the_models_labels(run: Run, labels: tuple[Any, Any], tmp_path: Path) -> None:
    frame, price = table(300, 0)
    y = np.array(labels)[(price > np.median(price)).astype(int)]
    model = make_pipeline(
        ColumnTransformer([("zip", OneHotEncoder(), ["zip"]), ("area", "passthrough", ["area"])]),
        LogisticRegression(max_iter=1000),
    ).fit(frame, y)
    text = frame.assign(y=y).to_csv(index=False)
    out = build_and_predict(run, tmp_path, model, text, text)
    assert out["labels"].tolist() == [str(label) for label in model.predict(frame).tolist()]


def test_a_model_without_names_of_columns_has_those_of_the_file_that_it_was_built_from(
    run: Run, tmp_path: Path
) -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    model = LogisticRegression().fit(x, np.where(x[:, 0] > x[:, 2], "01", "02"))
    frame = pd.DataFrame(x, columns=["width", "height", "depth"])
    text = frame.assign(y=model.predict(x)).to_csv(index=False)
    out = build_and_predict(run, tmp_path, model, text, frame[["depth", "width", "height"]].to_csv(index=False))
    assert out["labels"].tolist() == model.predict(x).tolist()
    (tmp_path / "more.csv").write_text(frame.assign(y=0, z=1).to_csv(index=False))
    done = run("build", "model.skops", "-o", "x.edgeml", "--evaluation", "more.csv", "--target", "y", cwd=tmp_path)
    assert done.returncode == 2
    words = "more.csv has 4 columns (width, height, depth, z), and the model expects 3 columns without names"
    assert words in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("area", "Area", "columns are missing: area; it has .*make 'Area' the same as 'area'"),
        ("80.5", "9007199254740993", "line 2, column 'area': got 9007199254740993, which float64 rounds to"),
        ("80.5", '"80,5"', "line 2, column 'area': got '80,5', expected a number with a decimal point"),
        ("north", "south", "line 2, column 'district': got 'south', which the model was not trained on"),
        ("y\n", "area\n", "column 'area' is there twice"),
    ],
)
def test_build_and_predict_refuse_a_file_in_the_same_words(
    run: Run, old: str, new: str, words: str, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"area": [80.5, 120.0] * 20, "district": ["north", "east"] * 20})
    y = np.array([1.0, 2.0] * 20)
    columns = ColumnTransformer([("d", OneHotEncoder(), ["district"])], remainder="passthrough")
    model = make_pipeline(columns, Ridge()).fit(frame, y)
    text = frame.assign(y=y).to_csv(index=False)
    build_and_predict(run, tmp_path, model, text, text)
    (tmp_path / "bad.csv").write_text(text.replace(old, new, 1), encoding="utf-8")
    built = run(
        "build", "model.skops", "-o", "x.edgeml", "--evaluation", "bad.csv", "--recipe", "onnx-fp32", cwd=tmp_path
    )
    made = run("predict", "p.edgeml", "bad.csv", "-o", "x.csv", cwd=tmp_path)
    messages = [" ".join(done.stderr.split()) for done in (built, made)]
    for done, message in zip((built, made), messages, strict=True):
        assert done.returncode == 2
        assert re.search(words, message), message
    assert messages[0].partition("bad.csv")[2] == messages[1].partition("bad.csv")[2]
