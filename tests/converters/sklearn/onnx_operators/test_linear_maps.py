"""Models that are one matrix product as ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import FeatureAgglomeration
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.decomposition import FactorAnalysis, FastICA, MiniBatchSparsePCA, SparsePCA
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.linear_model import Ridge
from sklearn.random_projection import SparseRandomProjection

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import Conversions, assert_faithful, scores_of
from tests.support.tables import table


@pytest.mark.parametrize(
    "model",
    [
        CCA(2),
        PLSCanonical(2),
        PLSRegression(3),
        PLSSVD(2),
        FactorAnalysis(3, random_state=0),
        FastICA(3, random_state=0, tol=1e-2, max_iter=500),
        FastICA(whiten=False, random_state=0, tol=1e-2, max_iter=500),
        SparsePCA(3, max_iter=5, random_state=0),
        MiniBatchSparsePCA(3, max_iter=5, random_state=0),
        FeatureAgglomeration(3),
        SparseRandomProjection(3, dense_output=True, random_state=0),
        SequentialFeatureSelector(Ridge(), n_features_to_select=2, cv=2),
    ],
    ids=str,
)
def test_linear_maps_answer_as_scikit_learn(model: Any, conversions: Conversions) -> None:
    data = table("diabetes")
    x, rows = (values[:, :6].astype(np.float64) for values in (data.x, data.held_out))
    targets = np.stack([data.y, np.square(data.y)], axis=1)
    model.fit(x, targets)
    assert_faithful(conversions.onnx_values(model, rows.astype(np.float32)), scores_of(model, rows))


def test_pooling_by_another_function_than_the_mean_is_refused(conversions: Conversions) -> None:
    model = FeatureAgglomeration(3, pooling_func=np.max).fit(table("wine").x)
    with pytest.raises(UnsupportedModelError, match=r"only pooling_func=np\.mean is supported"):
        conversions.convert(model, "onnx-fp32", trust=True)  # skops does not trust the function
