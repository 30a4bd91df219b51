"""scikit-learn to TFLite, against scikit-learn itself on rows held out, in the raw interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from edgeml.core.recipe import RECIPES, Recipe
from tests.support.sklearn_cases import QUIET, Conversions, assert_faithful, fitted, run_tflite
from tests.support.tables import table

pytestmark = QUIET

INTEGERS = [recipe for recipe in RECIPES if recipe.format == "tflite" and recipe.precision not in {"fp32", "fp16"}]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", INTEGERS, ids=lambda recipe: recipe.id)
def test_digits_in_integers(recipe: Recipe, conversions: Conversions) -> None:
    data = table("digits")
    model = MLPClassifier((32,), max_iter=60, random_state=0).fit(data.x, data.y)
    answer = run_tflite(conversions.convert(model, recipe.id, data.x[:200]), data.held_out)
    assert_faithful(answer, model.predict_proba(data.held_out), recipe.precision)
    assert recipe.floor.agreement is not None
    assert np.mean(answer.argmax(axis=1) == model.predict(data.held_out)) >= recipe.floor.agreement


def test_a_fixed_batch(conversions: Conversions) -> None:
    artifact = conversions.convert(fitted("logistic", "digits"), "tflite-fp32", batch=4)
    assert artifact.signature.inputs[0].shape == (4, 64)
    assert {spec.shape[0] for spec in artifact.signature.outputs} == {4}
