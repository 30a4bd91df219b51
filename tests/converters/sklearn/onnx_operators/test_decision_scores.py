"""The scores by which models of classifiers decide: decisions before probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC

from tests.support.sklearn_cases import QUIET, Conversions, assert_faithful, scores_of
from tests.support.tables import table

pytestmark = QUIET


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
@pytest.mark.parametrize(
    "model",
    [
        CalibratedClassifierCV(LogisticRegression(max_iter=50), cv=2),  # of decisions, though it has probabilities
        CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), cv=2),
        OneVsRestClassifier(SVC()),
    ],
    ids=["linear", "probabilities", "kernels"],
)
def test_classifiers_within_others_decide_as_in_scikit_learn(model: Any, name: str, conversions: Conversions) -> None:
    data = table(name)
    model.fit(data.x, data.y)
    answers = conversions.onnx_answers(model, data.held_out)
    assert_faithful(answers["scores"], scores_of(model, data.held_out))
    np.testing.assert_array_equal(answers["label"], model.predict(data.held_out))
