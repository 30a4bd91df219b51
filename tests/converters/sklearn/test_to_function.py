"""Models rebuilt of stages: those made of several models, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import RECIPES
from tests.support.sklearn_cases import QUIET, Conversions, scaled
from tests.support.tables import table

pytestmark = QUIET


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(
            make_column_transformer((StandardScaler(), [0, 3]), (MinMaxScaler(), [5]), remainder="passthrough"),
            LogisticRegression(max_iter=200),
        ),
        make_pipeline(
            make_column_transformer((StandardScaler(), [3, 0]), (MinMaxScaler(), [5])),
            RandomForestClassifier(5, random_state=0),
        ),
        make_pipeline(make_union(StandardScaler(), PCA(3)), LogisticRegression(max_iter=200)),
        VotingClassifier(
            [("a", GaussianNB()), ("b", RandomForestClassifier(5, random_state=0))], voting="soft", weights=[1, 2]
        ),
    ],
    ids=["columns", "columns of a forest", "union", "voting"],
)
def test_models_of_several_models_answer_as_scikit_learn(model: Any, conversions: Conversions) -> None:
    data = table("wine")
    conversions.check_tflite(model.fit(data.x, data.y), data.held_out)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (KNeighborsClassifier(), "rounding its training rows would change"),
        (SVC(probability=True, random_state=0), "probability=True is not supported"),
        (scaled(NearestCentroid()), "NearestCentroid is supported in float32 ONNX only"),
        (SGDClassifier(loss="modified_huber", random_state=0), "clipped at 0 and 1"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_rebuilt_is_refused(model: Any, reason: str, conversions: Conversions) -> None:
    data = table("wine")
    model.fit(data.x, data.y)
    for recipe in RECIPES:
        if recipe.id != "onnx-fp32":
            with pytest.raises(UnsupportedModelError, match=reason) as caught:
                conversions.convert(model, recipe.id, data.x)
            assert caught.value.fix == "use onnx-fp32."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "recipe_id", "reason"),
    [
        (RandomForestClassifier(2), "tflite-fp16", "float16 would change the branches that rows take"),
        (RandomForestClassifier(2), "tflite-dynamic", "no matrix products"),
        (RandomForestClassifier(2), "tflite-int16x8", "does not have 16-bit versions"),
        (SVC(), "tflite-int16x8", "Operators without a 16-bit version in TFLite: .*GREATER"),
    ],
    ids=str,
)
def test_what_is_not_honest_is_refused(model: Any, recipe_id: str, reason: str, conversions: Conversions) -> None:
    data = table("wine")
    with pytest.raises(UnsupportedModelError, match=reason):
        conversions.convert(model.fit(data.x, data.y), recipe_id, np.asarray(data.x[:20]))
