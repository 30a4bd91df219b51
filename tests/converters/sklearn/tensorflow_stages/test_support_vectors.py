"""Support vector machines rebuilt for TFLite, against scikit-learn on rows held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC, SVR, NuSVC

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import QUIET, Conversions, scaled
from tests.support.tables import table

pytestmark = QUIET


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name"),
    [
        (SVC(), "digits"),
        (SVC(), "breast_cancer"),
        (scaled(SVC(decision_function_shape="ovo")), "digits"),
        (scaled(SVC(decision_function_shape="ovo")), "breast_cancer"),
    ],
    ids=["svc-digits", "svc-breast_cancer", "scaled svc-digits", "scaled svc-breast_cancer"],
)
def test_no_label_flips(model: Any, name: str, conversions: Conversions) -> None:
    data = table(name)
    conversions.check_tflite(model.fit(data.x, data.text()), data.held_out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        SVC(kernel="linear"),
        scaled(SVC(kernel="poly", coef0=0.5)),
        scaled(SVC(kernel="sigmoid", break_ties=True)),
        scaled(NuSVC(nu=0.1)),
    ],
    ids=["linear", "poly", "sigmoid", "nu svc"],
)
def test_no_label_flips_with_other_kernels(model: Any, conversions: Conversions) -> None:
    data = table("wine")
    conversions.check_tflite(model.fit(data.x, data.y), data.held_out)


def test_a_regressor_answers_as_scikit_learn(conversions: Conversions) -> None:
    data = table("diabetes")
    conversions.check_tflite(scaled(SVR(C=100)).fit(data.x, data.y), data.held_out)


def test_labels_that_do_not_follow_from_scores_come_by_position(conversions: Conversions) -> None:
    data = table("digits")
    model = SVC(decision_function_shape="ovo").fit(data.x, data.text())
    artifact = conversions.convert(model, "tflite-fp32")
    assert [(spec.name, spec.dtype, spec.meaning) for spec in artifact.signature.outputs] == [
        ("scores", "float32", "scores"),
        ("position", "int32", "position"),
    ]
    session = conversions.session(model, artifact)
    found = session.predict(data.held_out)
    assert isinstance(found, np.ndarray)
    assert found.shape == (len(data.held_out), 45)
    assert session.classify(data.held_out[:3]).tolist() == model.predict(data.held_out[:3]).tolist()


def test_coupled_probabilities_are_refused(conversions: Conversions) -> None:
    data = table("wine")
    with pytest.raises(UnsupportedModelError, match="probability=True is not supported"):
        conversions.convert(SVC(probability=True).fit(data.x, data.y), "tflite-fp32", data.x[:20])
