"""Quadratic discriminant analysis as ONNX."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from tests.support.sklearn_cases import Conversions, assert_faithful
from tests.support.tables import table


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_a_quadratic_discriminant_answers_as_scikit_learn(name: str, conversions: Conversions) -> None:
    data = table(name)
    x, rows = data.x[:, :8].astype(np.float64), data.held_out[:, :8]
    model = QuadraticDiscriminantAnalysis(reg_param=0.1).fit(x, data.y)
    answers = conversions.onnx_answers(model, rows)
    assert_faithful(answers["scores"], model.predict_proba(rows.astype(np.float64)))
    np.testing.assert_array_equal(answers["label"], model.predict(rows.astype(np.float64)))
