"""What fills and marks missing values, as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer

from edgeml.core.errors import UnsupportedModelError
from tests.support.houses import pipeline
from tests.support.sklearn_cases import Conversions
from tests.support.sklearn_columns import check_regressor, forest
from tests.support.tables import table


@pytest.mark.parametrize(
    "model",
    [KNNImputer(), KNNImputer(add_indicator=True), MissingIndicator(), SimpleImputer(add_indicator=True)],
    ids=str,
)
def test_gaps_are_filled_and_marked_as_scikit_learn_does(model: Any, conversions: Conversions) -> None:
    data = table("wine")
    random = np.random.default_rng(0)
    x, rows = data.x.copy(), data.held_out.copy()
    for values in (x, rows):
        values[random.random(values.shape) < 0.1] = np.nan
    expected = model.fit(x, data.y).transform(rows)
    np.testing.assert_allclose(conversions.onnx_values(model, rows), expected, rtol=1e-5, atol=1e-6)


def test_an_indicator_beside_the_numbers_of_a_table(tmp_path: Path) -> None:
    check_regressor(pipeline(forest(), numbers=SimpleImputer(add_indicator=True)), tmp_path)


def test_a_mark_for_gaps_other_than_nan(conversions: Conversions) -> None:
    x = np.array([[1.0, -1.0], [3.0, 5.0], [-1.0, 7.0]], dtype=np.float32)
    model = SimpleImputer(missing_values=-1).fit(x)
    np.testing.assert_array_equal(conversions.onnx_values(model, x), [[1, 6], [3, 5], [2, 7]])


def test_an_imputer_that_weights_its_neighbours_is_refused(conversions: Conversions) -> None:
    model = KNNImputer(weights="distance").fit(table("wine").x)
    with pytest.raises(UnsupportedModelError, match="KNNImputer: custom weights, metrics and missing_values are not"):
        conversions.convert(model, "onnx-fp32")
