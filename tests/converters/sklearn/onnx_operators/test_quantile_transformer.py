"""QuantileTransformer as ONNX, on quantiles that repeat, on the quantiles themselves, and outside."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from tests.support.sklearn_cases import Conversions


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_a_quantile_transformer_answers_as_scikit_learn(distribution: str, conversions: Conversions) -> None:
    random = np.random.default_rng(0)
    x = np.stack([random.integers(0, 6, 200), random.normal(size=200), random.exponential(size=200)], axis=1)
    x = x.astype(np.float32)
    model = QuantileTransformer(n_quantiles=20, output_distribution=distribution, random_state=0).fit(x)
    rows = np.concatenate(
        [random.normal(1, 2, size=(60, 3)), model.quantiles_, [[-9, -9, -9], [99, 99, 99]], x[:20]]
    ).astype(np.float32)
    # Normal quantiles by a rational approximation of a relative error of 1.15e-9.
    np.testing.assert_allclose(conversions.onnx_values(model, rows), model.transform(rows), rtol=1e-5, atol=1e-6)
