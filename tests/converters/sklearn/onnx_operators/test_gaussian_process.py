"""Gaussian process classifiers as ONNX."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import Conversions, assert_faithful
from tests.support.tables import table


@pytest.mark.parametrize("classes", [2, 3])
def test_a_gaussian_process_answers_as_scikit_learn(classes: int, conversions: Conversions) -> None:
    data = table("wine")
    x, rows = data.x[:60, :4].astype(np.float64), data.held_out[:, :4]
    model = GaussianProcessClassifier(4.0 * RBF(3.0), optimizer=None)
    model.fit(x, data.y[:60] if classes == 3 else data.y[:60] > 0)
    answers = conversions.onnx_answers(model, rows)
    assert_faithful(answers["scores"], model.predict_proba(rows.astype(np.float64)))
    np.testing.assert_array_equal(answers["label"], model.predict(rows.astype(np.float64)))


def test_one_class_against_another_is_refused(conversions: Conversions) -> None:
    data = table("wine")
    model = GaussianProcessClassifier(optimizer=None, multi_class="one_vs_one").fit(data.x[:60], data.y[:60])
    with pytest.raises(UnsupportedModelError):
        conversions.convert(model, "onnx-fp32")
