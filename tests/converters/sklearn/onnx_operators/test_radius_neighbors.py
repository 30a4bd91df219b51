"""Neighbours within a radius as ONNX: on training rows, at the radius itself, and where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import RadiusNeighborsClassifier, RadiusNeighborsRegressor

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import Conversions

X = np.array([[0.0], [1.0], [2.0], [2.0], [8.0]], dtype=np.float32)
# On one training row and on two, at the radius from some, between, and (the last) far from all.
ROWS = np.array([[0.0], [2.0], [3.0], [0.5], [7.25], [30.0]], dtype=np.float32)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.filterwarnings("ignore:Outlier label")
def test_a_classifier_by_radius_answers_as_scikit_learn(weights: str, conversions: Conversions) -> None:
    model = RadiusNeighborsClassifier(1.0, weights=weights, outlier_label=2).fit(X, [1, 2, 2, 0, 1])
    answers = conversions.onnx_answers(model, ROWS)
    np.testing.assert_allclose(answers["scores"], model.predict_proba(ROWS), rtol=1e-6)
    np.testing.assert_array_equal(answers["label"], model.predict(ROWS))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.filterwarnings("ignore:One or more samples have no neighbors")
def test_a_regressor_by_radius_answers_as_scikit_learn(weights: str, conversions: Conversions) -> None:
    model = RadiusNeighborsRegressor(1.0, weights=weights).fit(X, [1.0, 2.0, 4.0, 8.0, 16.0])
    wanted = model.predict(ROWS)
    assert np.isnan(wanted[-1])
    np.testing.assert_allclose(conversions.onnx_values(model, ROWS), wanted, rtol=1e-6)


def test_a_label_of_outliers_that_is_no_class_is_refused(conversions: Conversions) -> None:
    model = RadiusNeighborsClassifier(1.0, outlier_label=7).fit(X, [1, 2, 2, 0, 1])
    with pytest.raises(UnsupportedModelError, match="outlier_label=7 is not one of the classes"):
        conversions.convert(model, "onnx-fp32")


def test_another_metric_is_refused(conversions: Conversions) -> None:
    model = RadiusNeighborsRegressor(1.0, metric="chebyshev").fit(X, np.arange(5.0))
    with pytest.raises(UnsupportedModelError, match="with the metric 'chebyshev' is not supported"):
        conversions.convert(model, "onnx-fp32")
