"""scikit-learn sources: what is loaded, what is refused, and what they say of themselves."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.cluster import DBSCAN, Birch, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingRegressor, IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from edgeml.core.decisions import Decision
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.tensors import TensorSpec
from edgeml.sources.sklearn import SklearnSource, open_source, save
from tests.support.tables import table

WINE = table("wine")


def opened(model: Any, folder: Path) -> SklearnSource:
    save(model, folder / "model.skops")
    return open_source(folder / "model.skops")


def test_pipeline_describes_itself(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), PCA(4), LogisticRegression()).fit(WINE.x, WINE.text())
    info = opened(model, tmp_path).info
    assert info.framework == "sklearn"
    assert info.architecture == "Pipeline(StandardScaler, PCA, LogisticRegression)"
    assert info.task == "classification"
    assert info.decision == Decision(("eight", "nine", "ten"), probabilities=True)
    assert info.signature.inputs == (TensorSpec("features", (None, 13), "float32"),)
    assert info.signature.outputs == (TensorSpec("scores", (None, 3), "float32", meaning="scores"),)
    assert set(info.versions) == {"scikit-learn", "numpy", "scipy", "skops"}


@pytest.mark.slow
def test_passthrough_steps_are_looked_through(tmp_path: Path) -> None:
    model = Pipeline([("a", "passthrough"), ("b", LogisticRegression(max_iter=5000))]).fit(WINE.x, WINE.y)
    info = opened(model, tmp_path).info
    assert info.architecture == "Pipeline(passthrough, LogisticRegression)"
    assert info.signature.inputs[0].shape == (None, 13)


@pytest.mark.parametrize(
    ("model", "task", "shape"),
    [
        (LinearRegression(), "regression", (None,)),
        (KMeans(3, n_init=1, random_state=0), "clustering", (None,)),
        (PCA(5), "transformation", (None, 5)),
        (StandardScaler(), "transformation", (None, 13)),
    ],
)
def test_other_kinds_give_values(model: Any, task: str, shape: tuple[int | None, ...], tmp_path: Path) -> None:
    source = opened(model.fit(WINE.x, WINE.y), tmp_path)
    assert source.info.task == task
    assert source.info.decision is None
    assert source.info.signature.outputs == (TensorSpec("values", shape, "float32"),)
    answer = getattr(model, "transform" if task == "transformation" else "predict")(WINE.held_out)
    reference = source.reference({"features": WINE.held_out})
    assert reference.labels is None
    np.testing.assert_array_equal(reference.outputs["values"], answer.astype(np.float32))


def test_several_targets_keep_their_axis(tmp_path: Path) -> None:
    model = LinearRegression().fit(WINE.x[:, :5], WINE.x[:, 5:8])
    assert opened(model, tmp_path).info.signature.outputs[0].shape == (None, 3)


@pytest.mark.parametrize(
    "labels",
    [WINE.y, WINE.y - 1, WINE.y == 1, WINE.y.astype(float), WINE.text()],
    ids=["int", "negative", "bool", "float", "text"],
)
def test_labels_are_the_models_own(labels: np.ndarray, tmp_path: Path) -> None:
    model = DecisionTreeClassifier(random_state=0).fit(WINE.x, labels)
    source = opened(model, tmp_path)
    assert source.info.decision is not None
    own = source.info.decision.labels
    assert own == tuple(model.classes_.tolist())
    assert [type(label) for label in own] == [type(label) for label in model.classes_.tolist()]
    positions = source.reference({"features": WINE.held_out}).labels
    assert positions is not None
    assert positions.dtype == np.int64
    np.testing.assert_array_equal(np.array(own)[positions], model.predict(WINE.held_out))


def test_binary_decision_function_is_one_score_with_a_threshold(tmp_path: Path) -> None:
    cancer = table("breast_cancer")
    source = opened(make_pipeline(StandardScaler(), RidgeClassifier()).fit(cancer.x, cancer.y), tmp_path)
    assert source.info.decision == Decision((0, 1), threshold=0.0)
    assert source.info.signature.outputs[0].shape == (None,)
    reference = source.reference({"features": cancer.held_out})
    np.testing.assert_array_equal(reference.outputs["scores"] > 0, reference.labels == 1)


def test_one_against_one_scores_keep_their_shape(tmp_path: Path) -> None:
    digits = table("digits")
    source = opened(SVC(decision_function_shape="ovo").fit(digits.x[:300], digits.y[:300]), tmp_path)
    assert source.info.signature.outputs[0].shape == (None, 45)
    assert source.info.decision == Decision(tuple(range(10)), pairwise=True)


def test_classifier_without_scores_votes(tmp_path: Path) -> None:
    model = VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))])
    source = opened(model.fit(WINE.x, WINE.text()), tmp_path)
    reference = source.reference({"features": WINE.held_out})
    expected = model.predict(WINE.held_out)[:, None] == model.classes_
    np.testing.assert_array_equal(reference.outputs["scores"], expected.astype(np.float32))


def test_a_search_is_its_best_estimator(tmp_path: Path) -> None:
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2).fit(WINE.x, WINE.y)
    source = opened(search, tmp_path)
    assert source.info.architecture == "GaussianNB"
    np.testing.assert_array_equal(
        source.reference({"features": WINE.held_out}).outputs["scores"],
        search.predict_proba(WINE.held_out).astype(np.float32),
    )


def test_reference_does_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    random = np.random.default_rng(0)  # small integers: many neighbours at the same distance
    rows = random.integers(0, 4, (1000, 8)).astype(np.float32)
    model = KNeighborsClassifier(algorithm="brute").fit(rows[:700], random.integers(0, 3, 700))
    source = opened(model, tmp_path)
    with threadpool_limits(1):
        expected = model.predict_proba(rows[700:]).astype(np.float32)
    np.testing.assert_array_equal(source.reference({"features": rows[700:]}).outputs["scores"], expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(max_iter=5000, random_state=np.random.RandomState(3)),
        MLPClassifier((4,), max_iter=5, random_state=0),
        RandomForestClassifier(3, random_state=0),
        HistGradientBoostingRegressor(max_iter=3),
        KNeighborsClassifier(algorithm="kd_tree"),
        KNeighborsClassifier(algorithm="ball_tree"),
        make_pipeline(StandardScaler(), SVC()),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_digest_is_of_the_model_alone(model: Any, tmp_path: Path) -> None:
    model.fit(WINE.x, WINE.y)
    first = opened(model, tmp_path).info.digest
    model.predict(WINE.held_out)  # search trees count their queries
    again = opened(model, tmp_path)
    assert again.info.digest == first
    assert opened(again.model, tmp_path).info.digest == first


@pytest.mark.slow
def test_digest_is_the_same_in_another_process(tmp_path: Path) -> None:
    models = [make_pipeline(StandardScaler(), SVC()), RandomForestClassifier(2), KNeighborsClassifier(), GaussianNB()]
    digests = []
    for number, model in enumerate(models):
        save(model.fit(WINE.x, WINE.text()), tmp_path / f"{number}.skops")
        digests.append(open_source(tmp_path / f"{number}.skops").info.digest)
    script = (
        "import pathlib, sys, edgeml.sources.sklearn as source\n"
        "for path in sys.argv[1:]: print(source.open_source(pathlib.Path(path)).info.digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *sorted(tmp_path.glob("*.skops"))],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == digests


def test_digest_sees_one_weight(tmp_path: Path) -> None:
    model = LinearRegression().fit(WINE.x, WINE.y)
    before = opened(model, tmp_path).info.digest
    model.coef_[3] = np.nextafter(model.coef_[3], np.float32(1))
    assert opened(model, tmp_path).info.digest != before
    assert before.startswith("sha256:")


def test_digest_sees_one_threshold_of_a_tree(tmp_path: Path) -> None:
    model = DecisionTreeClassifier(random_state=0).fit(WINE.x, WINE.y)
    before = opened(model, tmp_path).info.digest
    model.tree_.threshold[0] = np.nextafter(model.tree_.threshold[0], 0)
    assert opened(model, tmp_path).info.digest != before


def test_spellings_of_missing_values_that_are_texts_of_the_model(tmp_path: Path) -> None:
    houses = pd.DataFrame(
        {
            "garage": ["None", "Attached", "None", np.nan],
            "town": ["Ulm", "Bonn", "Ulm", "Bonn"],
            "note": ["none here", "nan", "so so", "so"],
            "area": [1.0, 2.0, 3.0, 4.0],
        }
    )
    columns = [
        ("text", OneHotEncoder(handle_unknown="ignore"), ["garage", "town"]),
        ("note", CountVectorizer(), "note"),
    ]
    model = make_pipeline(ColumnTransformer(columns, remainder="passthrough"), Ridge()).fit(houses, houses["area"])
    specs = {spec.name: spec for spec in opened(model, tmp_path).info.signature.inputs}
    assert specs["garage"].literal_texts == ("None",)
    assert specs["town"].literal_texts == ()
    # The vectorizer counts the words "nan" and "none", in lower case.
    assert set(specs["note"].literal_texts) == {"-NaN", "-nan", "NaN", "None", "nan"}
    assert specs["area"].literal_texts == ()


def test_only_what_is_harmless_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(FunctionTransformer(textwrap.dedent).fit(WINE.x), path)
    with pytest.raises(UnsupportedModelError, match=r"not trusted: textwrap\.dedent"):
        open_source(path)


def test_a_file_with_estimators_of_another_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a file cannot be made to build by trusting it, so that this is not advised."""
    module = types.ModuleType("xgboost.sklearn")
    module.XGBClassifier = type("XGBClassifier", (GaussianNB,), {"__module__": module.__name__})  # type: ignore[attr-defined]
    path = tmp_path / "model.skops"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "xgboost", types.ModuleType("xgboost"))
        patch.setitem(sys.modules, module.__name__, module)
        skops.io.dump(make_pipeline(StandardScaler(), module.XGBClassifier()).fit(WINE.x, WINE.y), path)
    with pytest.raises(UnsupportedModelError, match="XGBClassifier of XGBoost is not an estimator of scikit") as caught:
        open_source(path)
    assert "trust" not in caught.value.fix


def test_files_that_are_no_skops_files(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with pytest.raises(InputError, match="file not found"):
        open_source(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="expected a ZIP archive"):
        open_source(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"schema\.json was not found"):
        open_source(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", "{}")
    with pytest.raises(InputError, match="cannot load it"):
        open_source(path)
    skops.io.dump({"weights": [1, 2]}, path)
    with pytest.raises(InputError, match="expected a scikit-learn estimator, got an object of the type dict"):
        open_source(path)


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    save(GaussianNB().fit(WINE.x, WINE.y), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="expected a ZIP archive"):
        open_source(path)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (CountVectorizer().fit(["a text", "another text"]), "does not read a table of numbers"),
        (DecisionTreeClassifier().fit(WINE.x, np.stack([WINE.y, WINE.y], axis=1)), "several labels"),
        (
            MLPClassifier((2,), solver="lbfgs", max_iter=5000, random_state=0).fit(
                WINE.x[:, :2] / 9, WINE.x[:, 2:4] > 2.0
            ),
            "several labels",
        ),
        (OneHotEncoder(handle_unknown="ignore").fit(WINE.x), "sparse"),
        (DBSCAN().fit(WINE.x), "expected a classifier, regressor"),
        (IsolationForest(n_estimators=2, random_state=0).fit(WINE.x), "expected a classifier, regressor"),
        (DummyClassifier().fit(WINE.x, [b"a", b"b"] * 62), "labels of type bytes"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else type(value).__name__,
)
def test_models_that_are_not_carried(model: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=reason):
        opened(model, tmp_path)


def test_models_that_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="LogisticRegression is not fitted") as caught:
        save(LogisticRegression(), tmp_path / "model.skops")
    assert "fit()" in caught.value.fix
    with pytest.raises(InputError, match="expected a scikit-learn estimator, got an object of the type list"):
        save([1, 2], tmp_path / "model.skops")
    with pytest.raises(UnsupportedModelError, match="skops cannot save the Birch"):
        save(Birch().fit(WINE.x), tmp_path / "model.skops")
