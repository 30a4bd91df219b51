"""Trees as tables for TFLite: which way rows go that lie near a threshold, or have gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from edgeml.runtimes.engines.litert import LiteRTAdapter
from tests.support.sklearn_cases import Conversions
from tests.support.tables import table


def test_no_label_of_a_tree_flips(conversions: Conversions) -> None:
    data = table("wine")
    conversions.check_tflite(DecisionTreeClassifier(random_state=0).fit(data.x, data.y), data.held_out)


def test_a_tree_of_values_answers_as_scikit_learn(conversions: Conversions) -> None:
    data = table("diabetes")
    conversions.check_tflite(DecisionTreeRegressor(random_state=0).fit(data.x, data.y), data.held_out)


@pytest.mark.slow
@pytest.mark.parametrize("scaler", [None, StandardScaler(), MinMaxScaler((-1, 3), clip=True)], ids=str)
@pytest.mark.parametrize(
    ("model", "recipe_id"),
    [
        (DecisionTreeRegressor(random_state=0), "tflite-fp32"),
        (HistGradientBoostingRegressor(max_iter=3), "tflite-fp32"),
        (GradientBoostingRegressor(n_estimators=3), "tflite-int8"),
    ],
    ids=["tree", "histograms", "boosting in int8"],
)
def test_thresholds_part_neighbouring_floats_as_the_source_does(
    scaler: Any, model: Any, recipe_id: str, conversions: Conversions
) -> None:
    low = np.arange(-12, 12, dtype=np.float32) / 3 + np.float32(0.1)  # far from the denormals that LiteRT negates to 0
    rows = np.stack([low, np.nextafter(low, np.float32(np.inf))], axis=1).reshape(-1, 1).repeat(20, axis=0)
    pipeline = make_pipeline(*([scaler] if scaler else []), model).fit(rows, np.tile([0.0, 1.0], 24).repeat(20))
    artifact = conversions.convert(pipeline, recipe_id, rows[::20])
    session = conversions.session(pipeline, artifact)
    # Two neighbours on either side of each row, which scaling in float32 may make one.
    near = np.unique(rows)
    for _ in range(2):
        near = np.unique(np.concatenate([near, *(np.nextafter(near, np.float32(end)) for end in (-np.inf, np.inf))]))
    wanted = pipeline.predict(near[:, None])
    step = artifact.signature.outputs[0].quantization
    atol = 1e-6 if step is None else step.scale
    found = session.predict(near[:, None])
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, wanted, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
        RandomForestClassifier(5, random_state=0),
        make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), RandomForestClassifier(5, random_state=0)),
    ],
    ids=["learned", "forest", "imputed"],
)
def test_gaps_go_the_way_that_the_source_sends_them(model: Any, conversions: Conversions) -> None:
    data, random = table("wine"), np.random.default_rng(0)
    x, rows = data.x.copy(), data.held_out.copy()
    for values in (x, rows):
        values[random.random(values.shape) < 0.2] = np.nan
    artifact = conversions.convert(model.fit(x, data.y), "tflite-fp32")
    adapter = LiteRTAdapter(artifact.data, artifact.signature, needs=artifact.needs, target="cpu", threads=1)
    run = adapter.instance(1, 1)  # sessions take no gaps themselves
    found = np.concatenate([run([row[None]])[0] for row in rows])
    np.testing.assert_allclose(found, model.predict_proba(rows), atol=1e-6)
