"""k nearest neighbours as ONNX, with scikit-learn's own arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import (
    Conversions,
    assert_faithful,
    check_classifier,
    check_labels_that_are_text,
    check_regressor,
    check_trained_in_float64,
    scaled,
)
from tests.support.tables import table


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
@pytest.mark.parametrize("kind", ["neighbors", "neighbors-by-distance", "scaler-pca-neighbors"])
def test_classifiers(kind: str, name: str, conversions: Conversions) -> None:
    check_classifier(conversions, kind, name)


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_labels_that_are_text(name: str, conversions: Conversions) -> None:
    check_labels_that_are_text(conversions, "neighbors", name)


@pytest.mark.parametrize("kind", ["neighbors", "neighbors-by-distance"])
def test_regressors(kind: str, conversions: Conversions) -> None:
    check_regressor(conversions, kind)


def test_models_trained_in_float64(conversions: Conversions) -> None:
    check_trained_in_float64(conversions, KNeighborsClassifier())
    check_trained_in_float64(conversions, scaled(KNeighborsClassifier()))


def test_neighbours_on_training_rows_count_alone(conversions: Conversions) -> None:
    data = table("wine")
    twice, labels = np.concatenate([data.x, data.x[:20]]), np.concatenate([data.y, (data.y[:20] + 1) % 3])
    model = KNeighborsClassifier(weights="distance").fit(twice, labels)
    answers = conversions.onnx_answers(model, data.x)
    assert_faithful(answers["scores"], model.predict_proba(data.x))


def test_equal_votes_go_to_the_first_class(conversions: Conversions) -> None:
    x = np.array([[0.0], [1.0], [10.0], [11.0]], dtype=np.float32)
    model = KNeighborsClassifier(2).fit(x, [3, 1, 2, 0])
    rows = np.array([[0.4], [10.6]], dtype=np.float32)
    np.testing.assert_array_equal(conversions.onnx_answers(model, rows)["label"], [1, 0])


def test_weights_by_another_metric_are_refused(conversions: Conversions) -> None:
    data = table("wine")
    with pytest.raises(
        UnsupportedModelError,
        match="weights='distance' with the metric 'manhattan' is not supported",
    ):
        conversions.convert(
            KNeighborsClassifier(weights="distance", metric="manhattan").fit(data.x, data.y), "onnx-fp32"
        )
