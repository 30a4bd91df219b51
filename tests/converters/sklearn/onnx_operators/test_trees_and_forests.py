"""Trees and forests as ONNX, whose votes tie where scikit-learn's do, and whose gaps go its way."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier, RandomTreesEmbedding

from tests.support.sklearn_cases import (
    Conversions,
    assert_faithful,
    check_classifier,
    check_labels_that_are_text,
    check_regressor,
    check_trained_in_float64,
)
from tests.support.tables import table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("forest", "digits"),
        ("forest", "wine"),
        ("forest", "breast_cancer"),
        ("scaler-pca-forest", "digits"),
        ("scaler-pca-forest", "breast_cancer"),
    ],
)
def test_classifiers(kind: str, name: str, conversions: Conversions) -> None:
    check_classifier(conversions, kind, name)


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_labels_that_are_text(name: str, conversions: Conversions) -> None:
    check_labels_that_are_text(conversions, "forest", name)


@pytest.mark.parametrize("kind", ["forest", "scaler-pca-forest"])
def test_regressors(kind: str, conversions: Conversions) -> None:
    check_regressor(conversions, kind)


def test_a_forest_trained_in_float64(conversions: Conversions) -> None:
    check_trained_in_float64(conversions, RandomForestClassifier(20, random_state=0))


@pytest.mark.parametrize("labels", [2, 3])
def test_equal_votes_go_to_the_first_class(labels: int, conversions: Conversions) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(400, 4)).astype(np.float32)
    model = RandomForestClassifier(10, random_state=0).fit(rows[:300], random.integers(0, labels, 300))
    probabilities = np.sort(model.predict_proba(rows), axis=1)
    assert np.sum(probabilities[:, -1] == probabilities[:, -2]) > 5
    answers = conversions.onnx_answers(model, rows)
    np.testing.assert_array_equal(answers["label"], model.predict(rows))


def test_gaps_go_the_way_that_the_forest_sends_them(conversions: Conversions) -> None:
    data, random = table("wine"), np.random.default_rng(0)
    x, rows = data.x.copy(), data.held_out.copy()
    for values in (x, rows):
        values[random.random(values.shape) < 0.2] = np.nan
    model = RandomForestClassifier(5, random_state=0).fit(x, data.y)
    answers = conversions.onnx_answers(model, rows)
    np.testing.assert_allclose(answers["scores"], model.predict_proba(rows), atol=1e-6)


def test_several_values_a_row_and_the_leaves_of_an_embedding(conversions: Conversions) -> None:
    data = table("diabetes")
    targets = np.stack([data.y, -data.y], axis=1)
    model = ExtraTreesRegressor(5, max_depth=5, random_state=0).fit(data.x, targets)
    assert_faithful(conversions.onnx_values(model, data.held_out), model.predict(data.held_out))
    leaves = RandomTreesEmbedding(4, max_depth=3, sparse_output=False, random_state=0).fit(data.x)
    np.testing.assert_array_equal(conversions.onnx_values(leaves, data.held_out), leaves.transform(data.held_out))
