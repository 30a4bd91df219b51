"""Dummies as ONNX: answers that do not depend on the row."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import Conversions
from tests.support.tables import table


@pytest.mark.parametrize("strategy", ["prior", "most_frequent", "constant"])
def test_a_dummy_classifier_answers_as_scikit_learn(strategy: str, conversions: Conversions) -> None:
    data = table("wine")
    model = DummyClassifier(strategy=strategy, constant="eight" if strategy == "constant" else None)
    answers = conversions.onnx_answers(model.fit(data.x, data.text()), data.held_out)
    np.testing.assert_allclose(answers["scores"], model.predict_proba(data.held_out), rtol=1e-6)
    np.testing.assert_array_equal(answers["label"], model.predict(data.held_out))


@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_a_dummy_that_draws_its_answers_is_refused(strategy: str, conversions: Conversions) -> None:
    data = table("wine")
    model = DummyClassifier(strategy=strategy, random_state=0).fit(data.x, data.y)
    with pytest.raises(UnsupportedModelError, match="predicts at random, which is not supported"):
        conversions.convert(model, "onnx-fp32")


def test_a_dummy_regressor_gives_its_quantile(conversions: Conversions) -> None:
    data = table("diabetes")
    model = DummyRegressor(strategy="quantile", quantile=0.3).fit(data.x, data.y)
    np.testing.assert_allclose(conversions.onnx_values(model, data.held_out), model.predict(data.held_out), rtol=1e-6)
