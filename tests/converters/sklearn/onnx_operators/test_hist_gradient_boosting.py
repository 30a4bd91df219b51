"""Histogram gradient boosting as ONNX: every loss's own link, and gaps."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import Conversions, assert_faithful
from tests.support.tables import table


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_gaps_go_the_way_that_they_learned(name: str, conversions: Conversions) -> None:
    data, random = table(name), np.random.default_rng(0)
    x, rows = data.x.copy(), data.held_out.copy()
    for values in (x, rows):
        values[random.random(values.shape) < 0.1] = np.nan
    model = HistGradientBoostingClassifier(max_iter=5).fit(x, data.y)
    answers = conversions.onnx_answers(model, rows)
    np.testing.assert_allclose(answers["scores"], model.predict_proba(rows), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(answers["label"], model.predict(rows))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "gamma"])
def test_each_loss_answers_as_scikit_learn(loss: str, conversions: Conversions) -> None:
    data = table("diabetes")
    model = HistGradientBoostingRegressor(loss=loss, max_iter=5, random_state=0).fit(data.x, data.y)
    assert_faithful(conversions.onnx_values(model, data.held_out), model.predict(data.held_out))


def test_categorical_features_are_refused(conversions: Conversions) -> None:
    data = table("wine")
    rows = np.concatenate([data.x[:, :3], np.arange(len(data.x), dtype=np.float32)[:, None] % 3], axis=1)
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features=[3]).fit(rows, data.y)
    with pytest.raises(UnsupportedModelError, match="categorical features are not supported"):
        conversions.convert(model, "onnx-fp32", trust=True)  # skops does not trust its encoder
