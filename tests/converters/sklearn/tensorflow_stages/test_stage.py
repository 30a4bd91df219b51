"""Stages that only multiply and add are folded into one, without loss of digits."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from tests.support.sklearn_cases import Conversions, assert_faithful, run_tflite, scaled
from tests.support.tables import table


def test_columns_far_from_zero_keep_their_digits(conversions: Conversions) -> None:
    data = table("wine")
    shift = np.float32(2000)  # as years are: folded into the bias, the mean would cost 11 bits
    model = scaled(PCA(5), LogisticRegression()).fit(data.x + shift, data.y)
    rows = data.held_out + shift
    assert_faithful(run_tflite(conversions.convert(model, "tflite-fp32"), rows), model.predict_proba(rows))


def test_a_scaler_a_projection_and_a_model_are_one_product(conversions: Conversions) -> None:
    data = table("wine")
    model = scaled(PCA(5), LogisticRegression()).fit(data.x, data.y)
    operators = conversions.convert(model, "tflite-fp32").needs.operators
    assert set(operators) <= {"FULLY_CONNECTED", "SOFTMAX"}
