"""Rows made from a scikit-learn model: they tell the model from one that is a little different."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris, make_blobs
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import CategoricalNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from edgeml.core.source import Probes
from edgeml.sources.sklearn import SklearnSource, open_source, save
from tests.support.sklearn_cases import scores_of

IRIS, KINDS = load_iris(return_X_y=True)
IRIS = IRIS.astype(np.float32)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
DIABETES = DIABETES.astype(np.float32)
TEXTS = ["a small red house", "the old café on the hill", "red hill and old house", "small café"] * 4
FRAME = pd.DataFrame({"text": TEXTS, "size": np.arange(16.0)})


def source_of(model: Any, folder: Path) -> SklearnSource:
    save(model, folder / "model.skops")
    return open_source(folder / "model.skops", trust=True)


def probes_of(model: Any, rows: np.ndarray, folder: Path) -> Probes:
    return source_of(model, folder).probes({"features": rows})


def differing(first: Any, second: Any, rows: Any) -> int:
    """Rows that two models answer otherwise."""
    answers = np.abs(scores_of(first, rows) - scores_of(second, rows)).reshape(len(rows), -1).max(axis=1) > 1e-6
    labels = first.predict(rows) != second.predict(rows) if hasattr(first, "classes_") else False
    return int((answers | labels).sum())


def moved_thresholds(model: Any) -> Any:
    """The model with the smallest change of its trees' thresholds or bins' edges that float32 rows can show."""
    other = copy.deepcopy(model)
    trees = [part.tree_ for part in getattr(other, "estimators_", [other]) if hasattr(part, "tree_")]
    arrays = [tree.threshold for tree in trees] or list(getattr(other, "bin_edges_", ()))
    for array in arrays:
        down = array.astype(np.float32)
        down = np.where(down > array, np.nextafter(down, np.float32(-np.inf)), down)
        array[...] = np.nextafter(down, np.float32(np.inf))
    return other


TENTHS = (np.arange(11) / 10).repeat(4)[:, None].astype(np.float32)


@pytest.mark.parametrize(
    ("model", "rows", "target"),
    [
        (DecisionTreeRegressor(random_state=0), DIABETES, PROGRESS),
        (RandomForestClassifier(20, random_state=0), IRIS, KINDS),
        (KBinsDiscretizer(10, encode="ordinal", strategy="uniform"), TENTHS, None),
    ],
    ids=["tree", "forest", "bins"],
)
def test_rows_lie_on_thresholds_to_the_last_bit(model: Any, rows: np.ndarray, target: Any, tmp_path: Path) -> None:
    model.fit(rows, target)
    probes = probes_of(model, rows, tmp_path)
    assert 20 < probes.rows <= 512
    assert differing(model, moved_thresholds(model), probes.inputs["features"]) >= 5
    np.testing.assert_array_equal(
        next(iter(probes.reference.outputs.values())), scores_of(model, probes.inputs["features"]).astype(np.float32)
    )


def test_rows_lie_beyond_a_clip(tmp_path: Path) -> None:
    model = make_pipeline(MaxAbsScaler(clip=True), Ridge()).fit(DIABETES, PROGRESS)
    free = copy.deepcopy(model)
    free[0].clip = False
    rows = probes_of(model, DIABETES, tmp_path).inputs["features"]
    assert differing(model, free, rows) > len(rows) / 4


def test_rows_lie_where_votes_tie(tmp_path: Path) -> None:
    x, y = make_blobs(400, centers=4, cluster_std=2.5, random_state=3)
    model = SVC(kernel="linear", break_ties=True).fit(x.astype(np.float32), y)
    votes = SVC(kernel="linear").fit(x.astype(np.float32), y)
    calm = x[model.predict(x) == votes.predict(x)].astype(np.float32)  # nothing of it among the samples
    assert differing(model, votes, probes_of(model, calm, tmp_path).inputs["features"])


def text_probes(words: Any, folder: Path) -> tuple[Any, pd.DataFrame]:
    columns = ColumnTransformer([("words", words, "text"), ("rest", "passthrough", ["size"])])
    model = make_pipeline(columns, Ridge()).fit(FRAME, FRAME["size"])
    inputs = {"text": np.array(TEXTS[:1])[:, None], "size": np.ones((1, 1))}
    probes = source_of(model, folder).probes(inputs)
    return model, pd.DataFrame({name: probes.inputs[name][:, 0] for name in ("text", "size")})


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (CountVectorizer(), {"lowercase": False}),
        (CountVectorizer(), {"token_pattern": r"[a-zA-Z0-9_]{2,}"}),
        (CountVectorizer(binary=True), {"binary": False}),
        (CountVectorizer(ngram_range=(1, 2)), {"token_pattern": r"(?u)\w+"}),
        (CountVectorizer(ngram_range=(1, 2), stop_words=["the", "and"]), {"stop_words": None}),
        (CountVectorizer(strip_accents="unicode"), {"strip_accents": None}),
        (TfidfVectorizer(), {"sublinear_tf": True}),
        (CountVectorizer(analyzer="char", ngram_range=(1, 2)), {"lowercase": False}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_texts_tell_how_words_are_counted(words: Any, fault: dict[str, Any], tmp_path: Path) -> None:
    model, rows = text_probes(words, tmp_path)
    other = copy.deepcopy(model)
    counting = other[0].named_transformers_["words"].set_params(**fault)
    if fault.get("sublinear_tf"):
        counting._tfidf.sublinear_tf = True
    assert differing(model, other, rows)


def test_every_category_and_an_unknown_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"city": ["Oslo", "Paris", "Łódź"] * 5, "size": np.arange(15.0)})
    open_, closed = OneHotEncoder(handle_unknown="ignore", sparse_output=False), OrdinalEncoder()
    for encoder, unknown in ((open_, True), (closed, False)):
        columns = ColumnTransformer([("c", encoder, ["city"]), ("rest", "passthrough", ["size"])])
        model = make_pipeline(columns, Ridge()).fit(frame, frame["size"])
        inputs = {"city": np.array([["Oslo"]]), "size": np.ones((1, 1))}
        cities = set(source_of(model, tmp_path).probes(inputs).inputs["city"][:, 0])
        assert cities >= {"Oslo", "Paris", "Łódź"}
        assert bool(cities - {"Oslo", "Paris", "Łódź"}) == unknown


def test_rows_that_the_model_refuses_are_left_out(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 4, (60, 3)).astype(np.float32)
    model = CategoricalNB().fit(x, x[:, 0] > 1)
    rows = probes_of(model, x, tmp_path).inputs["features"]
    assert {(column, value) for column in range(3) for value in rows[:, column]} >= {
        (column, value) for column in range(3) for value in range(4)
    }
    assert np.isfinite(model.predict_proba(rows)).all()


def test_histograms_of_categories(tmp_path: Path) -> None:
    x = DIABETES.copy()
    x[:, 1] = np.digitize(x[:, 1], [-0.02, 0.02])
    model = HistGradientBoostingRegressor(max_iter=5, categorical_features=[1]).fit(x, PROGRESS)
    source = source_of(model, tmp_path)
    rows = source.probes({"features": x}).inputs["features"]
    assert set(rows[:, 1]) >= {0.0, 1.0, 2.0}
    edges = [node["num_threshold"] for (tree,) in model._predictors for node in tree.nodes if not node["is_leaf"]]
    assert np.isin(np.array(edges, np.float32), rows).mean() > 0.5


def test_the_same_rows_for_the_same_model(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(IRIS, KINDS)
    first, second = (probes_of(model, IRIS, tmp_path).inputs["features"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_columns_that_a_model_only_compares(tmp_path: Path) -> None:
    bins = KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf")
    forest = RandomForestClassifier(3, random_state=0)
    columns = ColumnTransformer([("bins", bins, [2]), ("scaled", StandardScaler(), [0, 1])])
    for model, expected in (
        (forest, {0, 1, 2, 3}),
        (make_pipeline(StandardScaler(), forest), set()),
        (make_pipeline(columns, forest), {1}),  # the third of those that it reads, of which it keeps the order
    ):
        source = source_of(model.fit(IRIS, KINDS), tmp_path)
        compared = source.compared_columns()["features"]
        read = [source.table.columns[number].position for number in compared]
        assert set(read) == ({2} if expected == {1} else expected)


def test_columns_that_an_imputer_adds_before_a_scaler(tmp_path: Path) -> None:
    x = IRIS.copy()
    x[::7, 1] = np.nan
    model = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), Ridge()).fit(x, KINDS)
    probes = probes_of(model, x, tmp_path)
    assert probes.rows > 50
    expected = model.predict(probes.inputs["features"])
    np.testing.assert_allclose(probes.reference.outputs["values"], expected, rtol=1e-6)
