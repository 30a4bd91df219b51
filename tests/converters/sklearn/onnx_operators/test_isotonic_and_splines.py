"""Models that interpolate between knots as ONNX, on knots, between them and outside."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.preprocessing import SplineTransformer

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import Conversions
from tests.support.tables import table


@pytest.mark.parametrize("outside", ["clip", "nan"])
def test_an_isotonic_regression_answers_as_scikit_learn(outside: str, conversions: Conversions) -> None:
    random = np.random.default_rng(0)
    x = np.sort(random.normal(size=60)).astype(np.float32)
    model = IsotonicRegression(out_of_bounds=outside).fit(x, np.cumsum(random.normal(size=60)))
    knots = np.asarray(model.X_thresholds_, dtype=np.float32)
    rows = np.concatenate([knots, (knots[1:] + knots[:-1]) / 2, [x[0] - 1, x[-1] + 1]]).astype(np.float32)[:, None]
    wanted = model.predict(rows)
    assert np.isnan(wanted).sum() == (2 if outside == "nan" else 0)
    np.testing.assert_allclose(conversions.onnx_values(model, rows), wanted, rtol=1e-5, atol=1e-6)


def test_an_isotonic_regression_of_one_value_gives_that(conversions: Conversions) -> None:
    model = IsotonicRegression(out_of_bounds="clip").fit(np.ones(5, dtype=np.float32), np.arange(5.0))
    rows = np.array([[0.0], [1.0], [9.0]], dtype=np.float32)
    np.testing.assert_array_equal(conversions.onnx_values(model, rows), [2, 2, 2])


@pytest.mark.parametrize("extrapolation", ["constant", "linear", "continue"])
@pytest.mark.parametrize(("degree", "bias"), [(2, True), (3, False)])
def test_splines_answer_as_scikit_learn(degree: int, bias: bool, extrapolation: str, conversions: Conversions) -> None:
    data = table("wine")
    model = SplineTransformer(4, degree, extrapolation=extrapolation, include_bias=bias).fit(data.x)
    low, high = data.x.min(axis=0), data.x.max(axis=0)
    knots = np.stack([low + (high - low) * np.float32(share) for share in (0.0, 1 / 3, 2 / 3, 1.0)])
    rows = np.concatenate([data.held_out, knots, [low - 1, high + 1]]).astype(np.float32)
    np.testing.assert_allclose(conversions.onnx_values(model, rows), model.transform(rows), rtol=1e-5, atol=1e-6)


def test_another_extrapolation_is_refused(conversions: Conversions) -> None:
    model = SplineTransformer(4, extrapolation="periodic").fit(table("wine").x)
    with pytest.raises(UnsupportedModelError, match="extrapolation='periodic' is not supported"):
        conversions.convert(model, "onnx-fp32")
