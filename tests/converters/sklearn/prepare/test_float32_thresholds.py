"""Thresholds of trees in float32, on rows that differ in the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

from tests.support.sklearn_cases import Conversions


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeRegressor(),
        GradientBoostingRegressor(n_estimators=10),
        HistGradientBoostingRegressor(max_iter=5),
    ],
    ids=lambda model: type(model).__name__,
)
def test_thresholds_between_neighbouring_floats(model: Any, conversions: Conversions) -> None:
    low = np.arange(1, 65, dtype=np.float32) / 3
    pairs = np.stack([low, np.nextafter(low, np.float32(np.inf))], axis=1)
    rows = pairs.reshape(-1, 1).repeat(20, axis=0)  # histograms want 20 rows in a leaf
    model.fit(rows, np.tile([0.0, 1.0], 64).repeat(20))
    answers = conversions.onnx_answers(model, pairs.reshape(-1, 1))
    np.testing.assert_allclose(answers["values"], model.predict(pairs.reshape(-1, 1)), atol=1e-6)
