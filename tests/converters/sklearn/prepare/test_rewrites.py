"""Equal models of simpler make, and what no graph can hold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import NMF, LatentDirichletAllocation, SparseCoder
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import LocallyLinearEmbedding
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.tree import DecisionTreeClassifier

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import QUIET, Conversions, assert_faithful, scores_of
from tests.support.tables import table

pytestmark = [*QUIET, pytest.mark.filterwarnings("ignore:y contains no unlabeled samples")]


def test_what_solves_a_problem_for_each_row_is_refused(conversions: Conversions) -> None:
    data = table("wine")
    with pytest.raises(UnsupportedModelError, match="SparseCoder: prediction solves an optimization problem"):
        conversions.convert(
            make_pipeline(SparseCoder(np.eye(13)), LogisticRegression()).fit(data.x, data.y), "onnx-fp32"
        )


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (NMF(2, max_iter=400, tol=1e-2, random_state=0), "NMF: prediction solves an optimization problem for each row"),
        (LatentDirichletAllocation(2, max_iter=1, random_state=0), "prediction repeats an update for each row"),
        (LocallyLinearEmbedding(random_state=0), "prediction solves a system of equations for each row"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_fixed_sequence_of_operations_is_refused(
    model: object, reason: str, conversions: Conversions
) -> None:
    pipeline = Pipeline([("scale", "passthrough"), ("model", model)]).fit(table("wine").x)
    with pytest.raises(UnsupportedModelError, match=reason):
        conversions.convert(pipeline, "onnx-fp32")


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [2, 3]}, cv=2),
        SelfTrainingClassifier(DecisionTreeClassifier(max_depth=3, random_state=0)),
        RFE(DecisionTreeClassifier(max_depth=3, random_state=0), n_features_to_select=4),
        Pipeline([("none", "passthrough"), ("scale", StandardScaler()), ("tree", DecisionTreeClassifier(max_depth=3))]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_wrappers_and_steps_that_do_nothing_are_taken_away(model: object, conversions: Conversions) -> None:
    data = table("wine")
    fitted = model.fit(data.x, data.y)  # type: ignore[attr-defined]  # an estimator
    answers = conversions.onnx_answers(fitted, data.held_out)
    assert_faithful(answers["scores"], scores_of(fitted, data.held_out))
    np.testing.assert_array_equal(answers["label"], fitted.predict(data.held_out))


def test_a_frozen_estimator_answers_as_the_one_within(conversions: Conversions) -> None:
    data = table("wine")
    inner = DecisionTreeClassifier(max_depth=3, random_state=0).fit(data.x, data.y)
    answers = conversions.onnx_answers(FrozenEstimator(inner), data.held_out)
    np.testing.assert_array_equal(answers["label"], inner.predict(data.held_out))
