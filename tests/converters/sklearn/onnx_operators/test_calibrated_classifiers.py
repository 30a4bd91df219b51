"""Calibrated classifiers as ONNX: each method of calibration, of decisions and of probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import LinearSVC

from tests.support.sklearn_cases import QUIET, Conversions, assert_faithful, check_classifier, scaled
from tests.support.tables import table

pytestmark = QUIET


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_a_calibrated_support_vector_machine(name: str, conversions: Conversions) -> None:
    check_classifier(conversions, "svc-calibrated", name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize(
    "inner",
    [scaled(LinearSVC(random_state=0)), RandomForestClassifier(5, random_state=0)],
    ids=["decisions", "shares"],
)
def test_calibrated_scores_answer_as_scikit_learn(inner: Any, method: str, name: str, conversions: Conversions) -> None:
    data = table(name)
    model = CalibratedClassifierCV(inner, method=method, cv=2).fit(data.x, data.y)
    answers = conversions.onnx_answers(model, data.held_out)
    assert_faithful(answers["scores"], model.predict_proba(data.held_out))
    np.testing.assert_array_equal(answers["label"], model.predict(data.held_out))
