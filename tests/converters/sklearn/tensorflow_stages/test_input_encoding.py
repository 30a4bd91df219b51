"""Features encoded outside of an integer graph: ranks for trees, scales for other models."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from edgeml.core.encoding import Binning, Scaling
from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import QUIET, Conversions, scaled
from tests.support.tables import table

pytestmark = QUIET


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name"),
    [
        (RandomForestClassifier(20, random_state=0), "digits"),
        (RandomForestClassifier(20, random_state=0), "breast_cancer"),
        (GradientBoostingClassifier(n_estimators=5, random_state=0), "digits"),
        (GradientBoostingClassifier(n_estimators=20, random_state=0), "breast_cancer"),
        (scaled(RandomForestClassifier(10, random_state=0)), "wine"),
    ],
    ids=["forest-digits", "forest-breast_cancer", "boosting-digits", "boosting-breast_cancer", "scaled forest-wine"],
)
def test_binned_trees_in_int8(model: Any, name: str, conversions: Conversions) -> None:
    data = table(name)
    boosting = isinstance(model.fit(data.x, data.y), GradientBoostingClassifier)
    artifact = conversions.convert(model, "tflite-int8", data.x[:100])
    (features,) = artifact.signature.inputs
    assert features.dtype == "int8"
    assert features.quantization is not None
    assert (features.quantization.scale, features.quantization.zero_point) == (1 / 256, -128)
    assert isinstance(features.encoding, Binning)
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(artifact.needs.operators)
    session = conversions.session(model, artifact)
    flips = session.classify(data.held_out) != model.predict(data.held_out)
    # The log-odds of boosting are a sum in 8 bits, and nearer ones than its step change places.
    assert flips.mean() <= (0.01 if boosting else 0.0)
    # What calibration never saw must not move a threshold.
    far = np.concatenate([data.held_out * 3, -data.held_out])
    found = session.predict(far)
    assert isinstance(found, np.ndarray)
    step = artifact.signature.outputs[0].quantization
    assert step is not None
    assert np.abs(found - model.predict_proba(far)).max() < (24 if boosting else 2) * step.scale


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
@pytest.mark.parametrize(
    "model",
    [LogisticRegression(max_iter=200), scaled(LogisticRegression()), scaled(SVC())],
    ids=str,
)
def test_unscaled_tables_in_int8(model: Any, name: str, conversions: Conversions) -> None:
    data = table(name)
    model.fit(data.x, data.y)
    artifact = conversions.convert(model, "tflite-int8", data.x[:100])
    assert isinstance(artifact.signature.inputs[0].encoding, Scaling)
    flips = conversions.session(model, artifact).classify(data.held_out) != model.predict(data.held_out)
    assert flips.mean() <= 0.05


def test_more_thresholds_than_int8_has_steps_are_refused(conversions: Conversions) -> None:
    data = table("diabetes")
    with pytest.raises(
        UnsupportedModelError, match=r"compare a feature with \d+ thresholds; int8 supports at most 255"
    ):
        conversions.convert(RandomForestRegressor(20).fit(data.x, data.y), "tflite-int8", data.x[:20])


def test_an_encoding_is_what_the_manifest_says(conversions: Conversions) -> None:
    data = table("wine")
    artifact = conversions.convert(DecisionTreeClassifier(random_state=0).fit(data.x, data.y), "tflite-int8", data.x)
    text = msgspec.json.encode(artifact.signature)
    assert msgspec.json.decode(text, type=type(artifact.signature)) == artifact.signature
    assert b'"encoding":{"kind":"binning","cuts":[[' in text
