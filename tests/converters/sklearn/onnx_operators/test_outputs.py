"""Outputs of the source's names, order and shapes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from tests.support.sklearn_cases import QUIET, Conversions
from tests.support.tables import table

pytestmark = QUIET


@pytest.mark.parametrize("text", [False, True])
def test_votes(text: bool, conversions: Conversions) -> None:
    data = table("wine")
    model = VotingClassifier(
        [("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))], flatten_transform=False
    )
    model.fit(data.x, data.text() if text else data.y)
    answers = conversions.onnx_answers(model, data.held_out)
    np.testing.assert_array_equal(answers["label"], model.predict(data.held_out))
    np.testing.assert_array_equal(model.classes_[answers["scores"].argmax(axis=1)], answers["label"])


def test_one_number_a_row_has_no_second_axis(conversions: Conversions) -> None:
    data = table("breast_cancer")
    rows = data.held_out[:5]
    assert conversions.onnx_answers(SVC().fit(data.x, data.y), rows)["scores"].shape == (5,)  # of the second class
    assert conversions.onnx_answers(Ridge().fit(data.x, data.y), rows)["values"].shape == (5,)
