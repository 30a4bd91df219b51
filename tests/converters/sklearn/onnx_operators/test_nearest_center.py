"""Models that look for the nearest of a few centers as ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import AffinityPropagation, BisectingKMeans, MeanShift
from sklearn.neighbors import NearestCentroid

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import Conversions, assert_faithful, scores_of
from tests.support.tables import table


@pytest.mark.parametrize(
    "model",
    [AffinityPropagation(random_state=0), BisectingKMeans(5, random_state=0), MeanShift(bandwidth=80.0)],
    ids=lambda model: type(model).__name__,
)
def test_clusters_are_those_of_scikit_learn(model: Any, conversions: Conversions) -> None:
    data = table("wine")
    model.fit(data.x[:80])
    wanted = model.predict(data.held_out)
    assert len(set(wanted.tolist())) > 1
    np.testing.assert_array_equal(conversions.onnx_values(model, data.held_out), wanted)


@pytest.mark.parametrize("priors", ["uniform", "empirical"])
def test_a_nearest_centroid_answers_as_scikit_learn(priors: str, conversions: Conversions) -> None:
    data = table("wine")
    model = NearestCentroid(priors=priors).fit(data.x, data.y)
    answers = conversions.onnx_answers(model, data.held_out)
    assert_faithful(answers["scores"], scores_of(model, data.held_out))
    np.testing.assert_array_equal(answers["label"], model.predict(data.held_out))


def test_a_row_between_two_centroids_goes_to_the_first(conversions: Conversions) -> None:
    x = np.array([[0.0], [2.0], [6.0], [8.0]], dtype=np.float32)
    model = NearestCentroid().fit(x, [1, 1, 0, 0])
    rows = np.array([[4.0], [3.0]], dtype=np.float32)
    np.testing.assert_array_equal(model.predict(rows), [0, 1])
    np.testing.assert_array_equal(conversions.onnx_answers(model, rows)["label"], [0, 1])


def test_another_metric_is_refused(conversions: Conversions) -> None:
    data = table("wine")
    model = NearestCentroid(metric="manhattan").fit(data.x, data.y)
    with pytest.raises(UnsupportedModelError, match="NearestCentroid: the metric 'manhattan' is not supported"):
        conversions.convert(model, "onnx-fp32")
