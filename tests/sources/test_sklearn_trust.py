"""What a file of a scikit-learn model may hold, and models whose parts are not a question of trust."""

from __future__ import annotations

import pickle
import sys
import textwrap
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy.stats import randint, uniform
from sklearn.datasets import load_wine
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.impute._iterative import IterativeImputer  # the public name must be enabled, for the whole process
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, RepeatedStratifiedKFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import edgeml
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.sources.sklearn import open_source
from edgeml.sources.sklearn_trusted_types import is_trusted

X, Y = load_wine(return_X_y=True)
X = X.astype(np.float32)
C = {"C": [0.1, 1.0]}


def check(model: object, source: object) -> None:
    """Build without trust, and compare with the model itself."""
    package = edgeml.build(source, evaluation=(X, Y), recipes="onnx-fp32")
    assert package.released == ("onnx-fp32",), package.manifest.refused
    with package.session("onnx-fp32") as session:
        np.testing.assert_array_equal(session.classify(X), model.predict(X))  # type: ignore[attr-defined]
        np.testing.assert_allclose(np.asarray(session.predict(X)), model.predict_proba(X), atol=1e-4)  # type: ignore[attr-defined]


SEARCHES = [
    GridSearchCV(LogisticRegression(max_iter=5000), C, scoring="f1_macro", cv=RepeatedStratifiedKFold(n_splits=3)),
    GridSearchCV(
        LogisticRegression(max_iter=5000), C, scoring=make_scorer(fbeta_score, beta=2, average="macro"),
        cv=ShuffleSplit(3, random_state=0),
    ),
]  # fmt: skip


@pytest.mark.parametrize("search", SEARCHES, ids=["f1", "fbeta"])
def test_metrics_and_splitters_of_a_search_in_a_file(search: GridSearchCV, tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), SelectKBest(mutual_info_classif, k=6), search).fit(X, Y)
    skops.io.dump(model, tmp_path / "model.skops")
    check(model, tmp_path / "model.skops")


def test_searches_over_distributions_in_memory() -> None:
    """skops cannot save the distributions of SciPy; the best estimator computes all outputs."""
    forest = RandomForestClassifier(random_state=0)
    search = RandomizedSearchCV(forest, {"n_estimators": randint(3, 9)}, n_iter=2, cv=3, random_state=0)
    line = RandomizedSearchCV(LogisticRegression(max_iter=5000), {"C": uniform(0.1, 1)}, n_iter=2, cv=3, random_state=0)
    votes = VotingClassifier([("forest", search), ("line", make_pipeline(StandardScaler(), line))], voting="soft")
    stack = StackingClassifier([("forest", search)], final_estimator=LogisticRegression(), cv=3)
    for model in (search, make_pipeline(StandardScaler(), line), votes, stack):
        check(model.fit(X, Y), model)
    assert isinstance(votes.estimators_[0], RandomizedSearchCV)  # the model itself stays as it is
    bag = BaggingClassifier(search, n_estimators=2, random_state=0).fit(X, Y)
    package = edgeml.build(bag, evaluation=(X, Y), recipes="onnx-fp32")
    assert isinstance(bag.estimator, RandomizedSearchCV)
    assert "skops" not in str(package.manifest.refused)


def test_trust_is_for_what_scikit_learn_exports() -> None:
    for name in (
        "sklearn.metrics._classification.f1_score",
        "sklearn.metrics._ranking.roc_auc_score",
        "sklearn.model_selection._split.GroupKFold",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        "sklearn._loss.loss.HuberLoss",
    ):
        assert is_trusted(name), name
    for name in (
        "sklearn.metrics._classification.np",
        "sklearn.metrics.f1_score.os",
        "sklearn.metrics.system",
        "sklearn.metricsx.f1_score",
        "sklearn.datasets._svmlight_format_io.load_svmlight_file",
        "os.system",
        "f1_score",
    ):
        assert not is_trusted(name), name


def test_what_cannot_be_converted_is_not_a_question_of_trust() -> None:
    rows = (X - X.mean(axis=0)) / X.std(axis=0)
    rows[::7, 0] = np.nan
    package = edgeml.build(make_pipeline(IterativeImputer(), Ridge()).fit(rows, Y), recipes="onnx-fp32")
    (refusal,) = package.manifest.refused
    assert "does not convert IterativeImputer of the Pipeline(IterativeImputer, Ridge)" in refusal.reason
    assert "trust" not in refusal.fix
    frame = pd.DataFrame({"town": pd.Categorical(np.where(Y == 0, "Ulm", "Bonn")), "area": X[:, 0]})
    boosting = HistGradientBoostingClassifier(max_iter=3).fit(frame, Y)
    with pytest.raises(UnsupportedModelError, match="takes columns of categories that are texts") as caught:
        edgeml.build(boosting)
    assert "OrdinalEncoder" in caught.value.fix


def test_a_function_of_others_is_refused_in_a_file_alone(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(textwrap.dedent), LogisticRegression())
    model.steps[0][1].fit(X)
    skops.io.dump(model.steps[0][1], tmp_path / "model.skops")
    with pytest.raises(UnsupportedModelError, match=r"not trusted: textwrap\.dedent"):
        open_source(tmp_path / "model.skops")


def test_a_class_of_a_module_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("house_ratios")
    module.Ratio = type("Ratio", (StandardScaler,), {"__module__": "house_ratios"})  # type: ignore[attr-defined]
    path = tmp_path / "model.skops"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "house_ratios", module)
        skops.io.dump(make_pipeline(module.Ratio(), Ridge()).fit(X, Y), path)
    with pytest.raises(InputError, match="the module 'house_ratios', which is not installed here") as caught:
        open_source(path, trust=True)
    assert "PYTHONPATH" in caught.value.fix


def test_a_model_that_holds_itself(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=5000).fit(X, Y)
    model.owner_ = model
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    package = edgeml.build(path, evaluation=(X, Y), recipes="onnx-fp32", trust_source=True)
    with package.session("onnx-fp32") as session:
        np.testing.assert_array_equal(session.classify(X), model.predict(X))
