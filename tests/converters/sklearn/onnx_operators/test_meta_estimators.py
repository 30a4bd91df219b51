"""Models made of other models as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import RegressorChain
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from edgeml.core.errors import UnsupportedModelError
from tests.support.houses import pipeline
from tests.support.sklearn_cases import QUIET, Conversions, assert_faithful, scores_of
from tests.support.sklearn_columns import check_regressor
from tests.support.tables import table

pytestmark = QUIET

TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
LINEAR = LinearSVC(random_state=0, max_iter=20000)


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
@pytest.mark.parametrize(
    "model",
    [
        OneVsOneClassifier(TREE),
        OneVsOneClassifier(LINEAR),
        OneVsRestClassifier(TREE),
        OneVsRestClassifier(LINEAR),
        OutputCodeClassifier(TREE, code_size=2, random_state=0),
        OutputCodeClassifier(LINEAR, code_size=2, random_state=0),
    ],
    ids=lambda model: f"{type(model).__name__} of {type(model.estimator).__name__}",
)
def test_classifiers_of_two_classes_each_answer_as_scikit_learn(
    model: Any, name: str, conversions: Conversions
) -> None:
    data = table(name)
    model.fit(data.x[:, :6].astype(np.float64), data.y)
    rows = data.held_out[:, :6]
    answers = conversions.onnx_answers(model, rows)
    if hasattr(model, "decision_function") or hasattr(model, "predict_proba"):
        assert_faithful(answers["scores"], scores_of(model, rows.astype(np.float64)))
    np.testing.assert_array_equal(answers["label"], model.predict(rows.astype(np.float64)))


def test_a_score_at_the_threshold_is_of_the_second_class(conversions: Conversions) -> None:
    x = np.array([[0.0], [0.0], [0.0], [0.0], [1.0]], dtype=np.float32)
    inner = DecisionTreeClassifier(max_depth=1).fit(x, [0, 0, 0, 1, 1])
    for threshold in (0.25, 0.26):
        model = FixedThresholdClassifier(inner, threshold=threshold).fit(x, [0, 0, 0, 1, 1])
        label = conversions.onnx_answers(model, x)["label"]
        np.testing.assert_array_equal(label, model.predict(x))
        assert label[0] == (threshold == 0.25)


def test_a_threshold_for_the_first_class_is_refused(conversions: Conversions) -> None:
    data = table("breast_cancer")
    model = FixedThresholdClassifier(TREE, threshold=0.3, pos_label=0).fit(data.x, data.y)
    with pytest.raises(UnsupportedModelError, match="the first class as positive label is not supported"):
        conversions.convert(model, "onnx-fp32")


def test_a_threshold_of_decisions_beside_probabilities_is_refused(conversions: Conversions) -> None:
    data = table("breast_cancer")
    inner = LogisticRegression(max_iter=20)
    model = FixedThresholdClassifier(inner, threshold=0.3, response_method="decision_function").fit(data.x, data.y)
    with pytest.raises(UnsupportedModelError, match="response_method='decision_function' is not supported"):
        conversions.convert(model, "onnx-fp32")


def test_a_chain_gives_its_answers_in_the_order_of_the_targets(conversions: Conversions) -> None:
    data = table("diabetes")
    targets = np.stack([data.y, np.square(data.y), -data.y], axis=1)
    model = RegressorChain(Ridge(), order=[2, 0, 1]).fit(data.x, targets)
    assert_faithful(conversions.onnx_values(model, data.held_out), model.predict(data.held_out))


def test_targets_turned_back_by_a_function_on_a_table_with_text(tmp_path: Path) -> None:
    check_regressor(TransformedTargetRegressor(pipeline(Ridge()), func=np.log1p, inverse_func=np.expm1), tmp_path)


@pytest.mark.parametrize(
    "transformer",
    [StandardScaler(), MinMaxScaler((-1, 2)), FunctionTransformer(np.log, np.exp)],
    ids=lambda transformer: type(transformer).__name__,
)
def test_targets_are_turned_back_as_scikit_learn_does(transformer: Any, conversions: Conversions) -> None:
    data = table("diabetes")
    model = TransformedTargetRegressor(LinearRegression(), transformer=transformer).fit(data.x, data.y)
    assert_faithful(conversions.onnx_values(model, data.held_out), model.predict(data.held_out))


def test_a_target_turned_back_by_another_function_is_refused(conversions: Conversions) -> None:
    data = table("diabetes")
    model = TransformedTargetRegressor(Ridge(), func=np.cbrt, inverse_func=np.square, check_inverse=False)
    with pytest.raises(UnsupportedModelError, match="TransformedTargetRegressor: the inverse transform"):
        conversions.convert(model.fit(data.x, data.y), "onnx-fp32")
