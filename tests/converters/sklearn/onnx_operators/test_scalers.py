"""MinMaxScaler, MaxAbsScaler and Normalizer as ONNX, to the last bit where trees part rows behind them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer

from tests.support.sklearn_cases import Conversions, check_classifier
from tests.support.tables import table


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_trees_behind_a_scaler(name: str, conversions: Conversions) -> None:
    check_classifier(conversions, "min-max-forest", name)


@pytest.mark.parametrize("clip", [False, True])
def test_a_min_max_scaler_rounds_as_scikit_learn(clip: bool, conversions: Conversions) -> None:
    data = table("wine")
    model = MinMaxScaler((-1, 2), clip=clip).fit(data.x)
    rows = np.concatenate([data.held_out, 3 * data.held_out])  # some are outside of what was seen
    np.testing.assert_array_equal(conversions.onnx_values(model, rows), model.transform(rows))


@pytest.mark.parametrize("clip", [False, True])
def test_a_max_abs_scaler_rounds_and_clips_as_scikit_learn(clip: bool, conversions: Conversions) -> None:
    data = table("wine")
    model = MaxAbsScaler(clip=clip).fit(data.x)
    rows = np.concatenate([data.held_out, -3 * data.held_out])
    np.testing.assert_array_equal(conversions.onnx_values(model, rows), model.transform(rows))


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_a_row_of_zeros_stays_as_it_is_when_rows_are_normalized(norm: str, conversions: Conversions) -> None:
    data = table("wine")
    rows = np.concatenate([data.held_out, np.zeros((1, 13)), np.full((1, 13), 1e-30)]).astype(np.float32)
    model = Normalizer(norm).fit(data.x)
    np.testing.assert_allclose(conversions.onnx_values(model, rows), model.transform(rows), rtol=2e-7, atol=0)
