"""Random and explicit feature maps as ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.kernel_approximation import AdditiveChi2Sampler, PolynomialCountSketch, RBFSampler, SkewedChi2Sampler
from sklearn.neural_network import BernoulliRBM

from tests.support.sklearn_cases import Conversions, assert_faithful
from tests.support.tables import table


@pytest.mark.parametrize(
    "model",
    [
        RBFSampler(n_components=7, random_state=0),
        RBFSampler(gamma=50.0, n_components=7, random_state=0),  # angles of many turns
        SkewedChi2Sampler(n_components=7, random_state=0),
        AdditiveChi2Sampler(sample_steps=1),
        AdditiveChi2Sampler(sample_steps=3),
        AdditiveChi2Sampler(sample_steps=2, sample_interval=0.7),
        PolynomialCountSketch(n_components=8, random_state=0),
        PolynomialCountSketch(gamma=0.5, degree=3, coef0=2, n_components=8, random_state=0),
        BernoulliRBM(4, n_iter=2, random_state=0),
    ],
    ids=str,
)
def test_feature_maps_answer_as_scikit_learn(model: Any, conversions: Conversions) -> None:
    data = table("digits")  # numbers from 0, with many zeros
    x, rows = data.x[:100, 8:24] / 16, data.held_out[:50, 8:24] / 16
    assert (rows == 0).any()
    assert_faithful(conversions.onnx_values(model.fit(x), rows), model.transform(rows.astype(np.float64)))
