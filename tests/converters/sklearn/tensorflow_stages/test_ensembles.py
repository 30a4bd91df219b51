"""Forests, bagging and boosting rebuilt for TFLite, against scikit-learn on rows held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import QUIET, Conversions, scaled
from tests.support.tables import table

pytestmark = QUIET


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name"),
    [
        (RandomForestClassifier(20, random_state=0), "digits"),
        (RandomForestClassifier(20, random_state=0), "breast_cancer"),
        (GradientBoostingClassifier(n_estimators=5, random_state=0), "digits"),
        (GradientBoostingClassifier(n_estimators=20, random_state=0), "breast_cancer"),
        (scaled(RandomForestClassifier(10, random_state=0)), "wine"),
        (scaled(RandomForestClassifier(10, random_state=0)), "breast_cancer"),
    ],
    ids=[
        "forest-digits",
        "forest-breast_cancer",
        "boosting-digits",
        "boosting-breast_cancer",
        "scaled forest-wine",
        "scaled forest-breast_cancer",
    ],
)
def test_no_label_flips(model: Any, name: str, conversions: Conversions) -> None:
    data = table(name)
    conversions.check_tflite(model.fit(data.x, data.text()), data.held_out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        ExtraTreesClassifier(5, max_depth=4, random_state=0),
        AdaBoostClassifier(n_estimators=5, random_state=0),
        BaggingClassifier(n_estimators=5, max_features=0.5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
    ],
    ids=["extra trees", "ada", "bagging", "histograms"],
)
def test_no_label_flips_on_wine(model: Any, conversions: Conversions) -> None:
    data = table("wine")
    conversions.check_tflite(model.fit(data.x, data.y), data.held_out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        RandomForestRegressor(10, random_state=0),
        GradientBoostingRegressor(n_estimators=20, random_state=0),
        HistGradientBoostingRegressor(loss="poisson", max_iter=20, random_state=0),
    ],
    ids=["forest", "boosting", "poisson"],
)
def test_regressors(model: Any, conversions: Conversions) -> None:
    data = table("diabetes")
    conversions.check_tflite(model.fit(data.x, data.y), data.held_out)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()), "a custom initial model"),
        (BaggingClassifier(GaussianNB(), 2), "estimators other than decision trees"),
    ],
    ids=str,
)
def test_ensembles_of_other_models_than_trees_are_refused(model: Any, reason: str, conversions: Conversions) -> None:
    data = table("wine")
    with pytest.raises(UnsupportedModelError, match=reason):
        conversions.convert(model.fit(data.x, data.y), "tflite-fp32", data.x[:20])


def test_a_categorical_split_is_refused(conversions: Conversions) -> None:
    data = table("wine")
    rows = np.concatenate([data.x[:, :3], np.arange(len(data.x), dtype=np.float32)[:, None] % 3], axis=1)
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features=[3]).fit(rows, data.y)
    with pytest.raises(UnsupportedModelError, match="categorical features are not supported"):
        conversions.convert(model, "tflite-fp32", trust=True)  # skops does not trust its encoder
