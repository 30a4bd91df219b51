"""Labels of scikit-learn's classifiers that decide by other scores than those that they return."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edgeml

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)


def test_equal_probabilities_excuse_no_labels_that_other_scores_decide() -> None:
    """With this loss most probabilities are 0, 0.5 or 1, and `predict` compares the decision function."""
    model = make_pipeline(StandardScaler(), SGDClassifier(loss="modified_huber", random_state=0)).fit(X, Y)
    package = edgeml.build(model, evaluation=X, recipes="onnx-fp32")
    flips = int((model.predict(X) != model.predict_proba(X).argmax(axis=1)).sum())
    assert flips > 10
    record = package.artifact("onnx-fp32")
    assert record.evaluation.fidelity.flips == flips
    assert record.evaluation.fidelity.agreement == pytest.approx(1 - flips / len(X))
    assert record.verdict.status == "rejected"


def test_a_classifier_whose_scores_are_its_output_is_judged_as_before() -> None:
    model = LogisticRegression(max_iter=500).fit(X, Y)
    package = edgeml.build(model, evaluation=X, recipes="onnx-fp32")
    record = package.artifact("onnx-fp32")
    assert record.verdict.released
    assert (record.evaluation.fidelity.flips, record.evaluation.fidelity.tied) == (0, None)


def test_samples_that_tie_are_counted_in_the_verdict() -> None:
    x = np.concatenate([X, np.zeros_like(X[:8])])
    weights = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    model = LogisticRegression().fit(X, Y % 2)
    model.classes_, model.coef_, model.intercept_ = np.array([0, 1]), weights[:1] - weights[1:], np.zeros(1)
    record = edgeml.build(model, evaluation=x, recipes="onnx-fp32").artifact("onnx-fp32")
    ties = int((x[:, 0] == x[:, 1]).sum())
    assert ties >= 8
    assert record.evaluation.fidelity.tied == ties
    assert any(f"labels of {ties} of {len(x)} samples are not judged" in text for text in record.verdict.remarks)
