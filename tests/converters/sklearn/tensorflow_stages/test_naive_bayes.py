"""Naive Bayes rebuilt for TFLite, against scikit-learn on rows held out."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB

from tests.support.sklearn_cases import Conversions
from tests.support.tables import table


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_no_label_flips_of_a_gaussian_model(name: str, conversions: Conversions) -> None:
    data = table(name)
    conversions.check_tflite(GaussianNB().fit(data.x, data.text()), data.held_out)


@pytest.mark.parametrize(
    "model",
    [BernoulliNB(binarize=2.0), MultinomialNB(), ComplementNB()],
    ids=["bernoulli", "multinomial", "complement"],
)
def test_no_label_flips_of_models_of_counts(model: Any, conversions: Conversions) -> None:
    data = table("wine")
    conversions.check_tflite(model.fit(data.x, data.y), data.held_out)
