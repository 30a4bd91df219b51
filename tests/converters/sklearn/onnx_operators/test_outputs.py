"""Outputs of the source's names, order and shapes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_blobs
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


@pytest.mark.parametrize("text", [False, True])
def test_labels_where_votes_tie_are_those_of_the_scores(text: bool, conversions: Conversions) -> None:
    x, y = make_blobs(300, centers=4, cluster_std=2.5, random_state=3)
    x, names = x.astype(np.float32), np.array(["n", "e", "s", "w"])
    model = SVC(kernel="linear", break_ties=True).fit(x, names[y] if text else y)
    ends = (np.linspace(low, high, 50) for low, high in zip(x.min(axis=0), x.max(axis=0), strict=True))
    grid = np.stack(np.meshgrid(*ends), axis=-1).reshape(-1, 2).astype(np.float32)
    assert (model.predict(grid) != model.set_params(break_ties=False).predict(grid)).any()
    model.set_params(break_ties=True)
    np.testing.assert_array_equal(conversions.onnx_answers(model, grid)["label"], model.predict(grid))
