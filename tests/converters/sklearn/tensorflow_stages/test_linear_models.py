"""Linear models and perceptrons rebuilt for TFLite, against scikit-learn on rows held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler
from sklearn.svm import LinearSVC

from tests.support.sklearn_cases import (
    QUIET,
    Conversions,
    assert_faithful,
    fitted,
    fitted_regressor,
    run_tflite,
    scaled,
    scores_of,
)
from tests.support.tables import table

pytestmark = QUIET


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("logistic", "digits"),
        ("logistic", "breast_cancer"),
        ("logistic", "wine"),
        ("mlp", "digits"),
        ("mlp", "breast_cancer"),
        ("scaler-pca-logistic", "wine"),
        ("scaler-pca-logistic", "breast_cancer"),
        ("scaler-pca-mlp", "wine"),
    ],
)
def test_classifiers(kind: str, name: str, conversions: Conversions) -> None:
    data, model = table(name), fitted(kind, name)
    expected = model.predict_proba(data.held_out)
    artifacts = conversions.convert_together(model, ["tflite-fp32", "tflite-fp16"])
    for precision, artifact in zip(("fp32", "fp16"), artifacts, strict=True):
        answer = run_tflite(artifact, data.held_out)
        assert_faithful(answer, expected, precision)
        agreement = np.mean(model.classes_[answer.argmax(axis=1)] == model.predict(data.held_out))
        assert agreement == 1.0 if precision == "fp32" else agreement >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "ridge", "mlp", "scaler-pca-ridge", "scaler-pca-mlp"])
def test_regressors(kind: str, conversions: Conversions) -> None:
    data, model = table("diabetes"), fitted_regressor(kind)
    artifacts = conversions.convert_together(model, ["tflite-fp32", "tflite-fp16"])
    for precision, artifact in zip(("fp32", "fp16"), artifacts, strict=True):
        assert_faithful(run_tflite(artifact, data.held_out), model.predict(data.held_out), precision)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "scaler"),  # each scaler before a linear model and before a perceptron
    [
        (RidgeClassifier(), RobustScaler()),
        (LinearSVC(random_state=0, max_iter=20000), MinMaxScaler(feature_range=(-1, 2), clip=True)),
        (LinearDiscriminantAnalysis(), MaxAbsScaler()),
        (SGDClassifier(loss="log_loss", random_state=0), RobustScaler()),
        (
            MLPClassifier((8, 8), activation="tanh", max_iter=60, random_state=0),
            MinMaxScaler(feature_range=(-1, 2), clip=True),
        ),
        (MLPClassifier((8,), activation="logistic", max_iter=60, random_state=0), MaxAbsScaler()),
        (MLPClassifier((8,), activation="identity", max_iter=60, random_state=0), RobustScaler()),
    ],
    ids=lambda model: f"{type(model).__name__}-{getattr(model, 'activation', '')}".strip("-"),
)
def test_two_classes_behind_a_scaler(model: Any, scaler: Any, conversions: Conversions) -> None:
    data = table("breast_cancer")
    pipeline = make_pipeline(scaler, model).fit(data.x, data.y)
    artifact = conversions.convert(pipeline, "tflite-fp32")
    assert_faithful(run_tflite(artifact, data.held_out), scores_of(pipeline, data.held_out))


def test_classes_against_the_rest_answer_as_scikit_learn(conversions: Conversions) -> None:
    data = table("wine")
    model = scaled(SGDClassifier(loss="log_loss", random_state=0))
    conversions.check_tflite(model.fit(data.x, data.y), data.held_out)
