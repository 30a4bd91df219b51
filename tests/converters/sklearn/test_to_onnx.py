"""scikit-learn to ONNX, against scikit-learn itself on rows held out, in the raw runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from edgeml.core.recipe import RECIPES, Recipe
from tests.support.sklearn_cases import (
    QUIET,
    Conversions,
    assert_faithful,
    check_classifier,
    check_labels_that_are_text,
    check_regressor,
    check_trained_in_float64,
    fitted,
    run_onnx,
    scaled,
)
from tests.support.tables import table

pytestmark = QUIET

INTEGERS = [recipe for recipe in RECIPES if recipe.format == "onnx" and recipe.precision not in {"fp32", "fp16"}]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
@pytest.mark.parametrize("kind", ["logistic", "mlp", "svc", "svc-one-against-one", "svc-probability", "boosting"])
def test_classifiers(kind: str, name: str, conversions: Conversions) -> None:
    check_classifier(conversions, kind, name)


@pytest.mark.parametrize("kind", ["scaler-pca-logistic", "scaler-pca-mlp", "scaler-pca-svc"])
def test_classifiers_behind_a_scaler(kind: str, conversions: Conversions) -> None:
    check_classifier(conversions, kind, "wine")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
@pytest.mark.parametrize("kind", ["logistic", "mlp", "svc", "svc-probability", "boosting"])
def test_labels_that_are_text(kind: str, name: str, conversions: Conversions) -> None:
    check_labels_that_are_text(conversions, kind, name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "ridge", "mlp", "svr", "boosting", "scaler-pca-ridge", "scaler-pca-mlp"])
def test_regressors(kind: str, conversions: Conversions) -> None:
    check_regressor(conversions, kind)


@pytest.mark.parametrize("model", [SVC(), LogisticRegression(max_iter=200)], ids=lambda model: type(model).__name__)
def test_models_trained_in_float64(model: Any, conversions: Conversions) -> None:
    check_trained_in_float64(conversions, model)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", INTEGERS, ids=lambda recipe: recipe.id)
def test_digits_in_integers(recipe: Recipe, conversions: Conversions) -> None:
    data = table("digits")
    model = MLPClassifier((32,), max_iter=60, random_state=0).fit(data.x, data.y)
    answer = run_onnx(conversions.convert(model, recipe.id, data.x[:200]), data.held_out)["scores"]
    assert_faithful(answer, model.predict_proba(data.held_out), recipe.precision)
    assert recipe.floor.agreement is not None
    assert np.mean(answer.argmax(axis=1) == model.predict(data.held_out)) >= recipe.floor.agreement


def test_a_fixed_batch(conversions: Conversions) -> None:
    model = fitted("logistic", "digits")
    for recipe_id in ("onnx-fp32", "onnx-fp16"):
        artifact = conversions.convert(model, recipe_id, batch=4)
        assert artifact.signature.inputs[0].shape == (4, 64)
        assert {spec.shape[0] for spec in artifact.signature.outputs} == {4}
    fixed = onnxruntime.InferenceSession(conversions.convert(model, "onnx-fp32", batch=4).data)
    assert [value.shape for value in (*fixed.get_inputs(), *fixed.get_outputs())] == [[4, 64], [4, 10], [4]]


def test_the_same_model_gives_the_same_bytes(conversions: Conversions) -> None:
    data = table("wine")
    model = scaled(PCA(5), KNeighborsClassifier()).fit(data.x, data.text())
    first, again = (conversions.convert(model, "onnx-fp32") for _ in range(2))
    assert first == again
    assert first.lineage[0].startswith("scikit-learn ")
    assert first.lineage[1].startswith("skl2onnx ")
    assert first.needs.opset is not None
    assert first.needs.opset <= 17
    onnx.checker.check_model(onnx.load_model_from_string(first.data), full_check=True)


def test_numbers_as_labels_of_any_type(conversions: Conversions) -> None:
    data = table("wine")
    for labels in (data.y == 1, data.y.astype(float), data.y - 1):
        model = RandomForestClassifier(5, random_state=0).fit(data.x, labels)
        label = conversions.onnx_answers(model, data.held_out)["label"]
        np.testing.assert_array_equal(label.astype(labels.dtype), model.predict(data.held_out))
