"""Training of scikit-learn models, beside the same done by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import GAPS, Table
from edgeml.sources.state_digest import state_digest
from edgeml.trainers import Csv, Digits, Npz, Search, Sklearn, Split, Trained, Training
from edgeml.trainers.fit_worker import Trainer, TrainerSettings
from edgeml.trainers.result import Column
from edgeml.trainers.sklearn_models import make_model
from tests.support.processes import repository

HOUSES = repository() / "examples" / "houses.csv"
NUMBERS, TEXT = ["area", "rooms", "age"], ["district"]
ROWS = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0).astype(np.int64)


def trained(training: Training, folder: Path) -> tuple[Trained, Any]:
    found = Trainer(TrainerSettings(training, folder)).finish()
    untrusted = skops.io.get_untrusted_types(file=folder / found.model)
    return found, skops.io.load(folder / found.model, trusted=untrusted)


def rows_file(folder: Path, **arrays: np.ndarray) -> Npz:
    np.savez(folder / "rows.npz", x=ROWS, y=LABELS, **arrays)  # type: ignore[arg-type]
    return Npz(path=folder / "rows.npz")


def houses() -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    table = pd.read_csv(HOUSES, keep_default_na=False, na_values=sorted(GAPS), dtype={"district": object})
    price = table.pop("price").astype(float)
    train, held_out = train_test_split(np.arange(len(table)), test_size=0.25, random_state=5)
    return table.iloc[train], table.iloc[held_out], price.iloc[train], price.iloc[held_out]


def prepared(numbers: Any, last: Any) -> Pipeline:
    """What gaps and texts of the houses need, and the estimator."""
    text = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("text", text, TEXT)])
    return Pipeline([("prepare", columns), ("estimator", last)])


def test_house_prices_equal_the_pipeline_made_by_hand(tmp_path: Path) -> None:
    training = Training(
        data=Csv(path=HOUSES, target="price"),
        model=Sklearn(estimator="HistGradientBoostingRegressor", parameters={"max_iter": 20}),
        seed=5,
    )
    found, model = trained(training, tmp_path)
    x, held_out, y, truth = houses()
    numbers = make_pipeline(SimpleImputer(strategy="median"))
    with threadpool_limits(1):  # much faster where others compute too
        by_hand = prepared(numbers, HistGradientBoostingRegressor(max_iter=20, random_state=5)).fit(x, y)
    np.testing.assert_array_equal(model.predict(held_out), by_hand.predict(held_out))
    assert found.metrics.r2 == pytest.approx(r2_score(truth, by_hand.predict(held_out)), rel=1e-12)
    assert found.columns is not None
    assert found.columns == (
        *(Column(name=name, kind="numbers") for name in NUMBERS),
        Column(name="district", kind="text"),
    )
    assert found.preprocessing is None
    assert found.samples == {"all": 300, "train": 225, "validation": 0, "calibration": 200, "evaluation": 75}
    written = pd.read_csv(
        tmp_path / "evaluation.csv", keep_default_na=False, na_values=[""], dtype={"district": object}
    )
    assert written.pop("price").tolist() == truth.tolist()
    pd.testing.assert_frame_equal(written, held_out.astype({"rooms": float, "age": float}).reset_index(drop=True))
    calibration = pd.read_csv(tmp_path / "calibration.csv", keep_default_na=False, na_values=[""])
    assert calibration["area"].tolist() == pytest.approx(x["area"].tolist()[:200], nan_ok=True)


@pytest.mark.slow
def test_a_search_is_grid_search_cv(tmp_path: Path) -> None:
    grid: dict[str, list[Any]] = {"estimator__alpha": [0.1, 10.0, 1000.0], "estimator__fit_intercept": [True, False]}
    training = Training(
        data=Csv(path=HOUSES, target="price"), model=Sklearn(estimator="Ridge"), seed=5,
        search=Search(grid=grid, folds=4, scoring="neg_mean_absolute_error"),
    )  # fmt: skip
    found, model = trained(training, tmp_path)
    x, held_out, y, _ = houses()
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    by_hand = GridSearchCV(
        prepared(numbers, Ridge(random_state=5)), grid, cv=4, scoring="neg_mean_absolute_error"
    ).fit(x, y)  # fmt: skip
    assert found.search is not None
    assert found.search.best == by_hand.best_params_
    assert found.search.score == by_hand.best_score_
    assert [one.score for one in found.search.candidates] == by_hand.cv_results_["mean_test_score"].tolist()
    assert [one.rank for one in found.search.candidates] == by_hand.cv_results_["rank_test_score"].tolist()
    np.testing.assert_array_equal(model.predict(held_out), by_hand.predict(held_out))


def test_estimators_in_estimators_and_seeds(tmp_path: Path) -> None:
    forest = {"estimator": "RandomForestClassifier", "parameters": {"n_estimators": 5}}
    ridge = {"estimator": "RidgeClassifier", "parameters": {"random_state": 9}}
    wanted = Sklearn(
        steps=(
            {"estimator": "MinMaxScaler", "parameters": {"feature_range": [-1, 1]}},
            {"estimator": "VotingClassifier", "parameters": {"estimators": [["a", forest], ["b", ridge]]}},
        )
    )
    model = make_model(wanted, ROWS, seed=4)
    assert [name for name, _ in model.steps] == ["minmaxscaler", "votingclassifier"]
    assert isinstance(model[-1], VotingClassifier)
    assert isinstance(model[-1].estimators[0][1], RandomForestClassifier)
    seeds = {name: value for name, value in model.get_params().items() if name.endswith("random_state")}
    assert seeds == {"votingclassifier__a__random_state": 4, "votingclassifier__b__random_state": 9}
    assert model[0].feature_range == (-1, 1)
    model.fit(ROWS, LABELS)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model_and_another_another(tmp_path: Path) -> None:
    digests, summaries = [], []
    for i, seed in enumerate((1, 1, 2)):
        (folder := tmp_path / str(i)).mkdir()
        training = Training(
            data=Digits(), model=Sklearn(estimator="ExtraTreesClassifier", parameters={"n_estimators": 3}), seed=seed
        )
        digests.append(state_digest(trained(training, folder)[1]))
        summaries.append((folder / "training.json").read_bytes())
    assert digests[0] == digests[1] != digests[2]
    assert summaries[0] == summaries[1] != summaries[2]


@pytest.mark.slow
def test_tables_of_numbers_are_scaled_where_it_helps(tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS.astype(float), columns=list("abcd")).assign(y=np.where(LABELS, "yes", "no"))
    table.to_csv(tmp_path / "a.csv", index=False)
    data = Csv(path=tmp_path / "a.csv", target="y")
    for estimator, options, wanted in (
        ("LogisticRegression", {}, ["prepare", "estimator"]),
        ("DecisionTreeClassifier", {}, ["estimator"]),
        ("DecisionTreeClassifier", {"scale": True}, ["prepare", "estimator"]),
        ("LogisticRegression", {"scale": False}, ["estimator"]),
        ("LogisticRegression", {"table": "as is"}, ["estimator"]),
    ):
        training = Training(data=data, model=Sklearn(estimator=estimator, **options))
        found, model = trained(training, tmp_path)
        assert [name for name, _ in model.steps] == wanted
        assert found.preprocessing == Table(columns=("a", "b", "c", "d"))
        assert found.classes == ("no", "yes")


@pytest.mark.parametrize(
    ("estimator", "task"), [("KMeans", "clustering"), ("PCA", "transformation")], ids=["KMeans", "PCA"]
)
def test_what_learns_without_a_target(estimator: str, task: str, tmp_path: Path) -> None:
    parameters = {"n_clusters": 2, "n_init": 1} if estimator == "KMeans" else {"n_components": 2}
    np.savez(tmp_path / "x.npz", x=ROWS)
    training = Training(data=Npz(path=tmp_path / "x.npz"), model=Sklearn(estimator=estimator, parameters=parameters))
    found, _ = trained(training, tmp_path)
    assert found.task == task
    assert found.metrics.accuracy is None
    with np.load(tmp_path / "evaluation.npz") as file:
        assert file.files == ["x"]


def test_what_scikit_learn_warns_of_is_kept(tmp_path: Path) -> None:
    model = Sklearn(estimator="MLPClassifier", parameters={"max_iter": 2, "hidden_layer_sizes": [3]})
    found, _ = trained(Training(data=rows_file(tmp_path), model=model), tmp_path)
    assert len(found.remarks) == 1
    assert "Maximum iterations (2) reached" in found.remarks[0]


@pytest.mark.parametrize(
    ("model", "search", "words"),
    [
        (Sklearn(estimator="RandomForest"), None, ["not have an estimator 'RandomForest'", "RandomForestClassifier"]),
        (Sklearn(estimator="Ridge", parameters={"alfa": 1}), None, ["Ridge does not have a parameter 'alfa'", "alpha"]),
        (Sklearn(estimator="VotingClassifier"), None, ["VotingClassifier cannot be created", "estimators"]),
        (Sklearn(estimator="SVC", parameters={"kernel": "round"}), None, ["cannot fit it", "'kernel'"]),
        (Sklearn(steps=({"name": "SVC"},)), None, ["model.steps[0]: got name, expected a table"]),
        (Sklearn(estimator="SVC"), Search(grid={"C": [1.0]}), ["not have a parameter 'C'", "estimator__C"]),
        (Sklearn(estimator="SVC"), Search(grid={"estimator__C": []}), ["values of 'estimator__C' is empty"]),
        (Sklearn(estimator="SVC"), Search(grid={"estimator__C": [-1.0]}), ["cannot fit it", "'C'"]),
        (Sklearn(estimator="SVC"), Search(grid={"estimator__C": [1.0]}, scoring="luck"), ["cannot fit it", "luck"]),
        (Sklearn(estimator="SVC"), Search(grid={"estimator__C": [1.0]}, folds=900), ["cannot fit it", "n_splits"]),
        (Sklearn(estimator="Ridge"), None, ["the target is for classification", "the model does regression"]),
        (Sklearn(estimator="IsolationForest"), None, ["IsolationForest is not supported; expected a classifier"]),
    ],
)
def test_what_cannot_be_made_is_refused(
    model: Sklearn, search: Search | None, words: list[str], tmp_path: Path
) -> None:
    data = Npz(path=rows_file(tmp_path).path, task="classification")
    with pytest.raises(InputError) as caught:
        Trainer(TrainerSettings(Training(data=data, model=model, search=search), tmp_path)).finish()
    for word in words:
        assert word in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"rows.npz"}


@pytest.mark.parametrize(
    ("arrays", "model", "words"),
    [
        ({"y": np.zeros(60, int)}, "LogisticRegression", ["same label, 0", "learn nothing"]),
        ({"y": np.ones(60)}, "Ridge", ["same value, 1.0"]),
        ({"y": np.r_[np.zeros(59, int), 1]}, "LogisticRegression", ["too few", "class '1' has 1"]),
        ({"y": np.arange(60) % 50}, "LogisticRegression", ["too few"]),
        ({"y": np.linspace(0, 1, 60)}, "LogisticRegression", ["numbers that are not whole", "classification"]),
        ({"y": np.array(["a", "b"] * 30)}, "Ridge", ["target is for classification"]),
        ({}, "LogisticRegression", ["needs a target"]),
    ],
)
def test_targets_that_teach_nothing(arrays: dict[str, Any], model: str, words: list[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=ROWS, **arrays)
    training = Training(data=Npz(path=tmp_path / "a.npz"), model=Sklearn(estimator=model))
    with pytest.raises(InputError) as caught:
        Trainer(TrainerSettings(training, tmp_path)).finish()
    for word in words:
        assert word in str(caught.value)


def test_text_is_no_target_of_a_regressor(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,y\n" + "1,low\n2,high\n" * 10)
    training = Training(data=Csv(path=tmp_path / "a.csv", target="y"), model=Sklearn(estimator="Ridge"))
    with pytest.raises(InputError, match="the target is text, and the model does regression"):
        Trainer(TrainerSettings(training, tmp_path))


def test_a_class_that_no_part_to_train_on_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=ROWS, y=np.r_[np.zeros(30, int), np.ones(29, int), 2])
    for seed in range(20):  # among which are some that hold the one sample of class 2 out
        training = Training(
            data=Npz(path=tmp_path / "a.npz"), model=Sklearn(estimator="GaussianNB"), seed=seed,
            split=Split(stratified=False),
        )  # fmt: skip
        try:
            Trainer(TrainerSettings(training, tmp_path))
        except InputError as error:
            assert "no sample of class '2' is in the training part" in str(error)  # noqa: PT017
            return
    raise AssertionError("every seed kept class 2 among the samples to train on")
