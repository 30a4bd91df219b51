"""KBinsDiscretizer as ONNX: values on edges fall into scikit-learn's bins."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer

from tests.support.sklearn_cases import Conversions
from tests.support.tables import table

TENTHS = (np.arange(-2, 13) / 10).astype(np.float32)


@pytest.mark.parametrize("encode", ["ordinal", "onehot-dense"])
def test_decimals_on_edges(encode: str, conversions: Conversions) -> None:
    x = np.random.default_rng(0).random((200, 2))
    x[:2] = [[0, 0], [1, 1]]
    model = KBinsDiscretizer(10, encode=encode, strategy="uniform").fit(x)
    ends = np.float32(-np.inf), np.float32(np.inf)
    column = np.concatenate([TENTHS, *(np.nextafter(TENTHS, end) for end in ends)])
    rows = np.stack([column, column[::-1]], axis=1)
    np.testing.assert_array_equal(conversions.onnx_values(model, rows), model.transform(rows))


def test_bins_of_different_number_before_a_classifier(conversions: Conversions) -> None:
    data = table("wine")
    bins = KBinsDiscretizer([2, 3, 4] * 4 + [2], quantile_method="averaged_inverted_cdf")  # a sparse table
    model = make_pipeline(bins, LogisticRegression(max_iter=200)).fit(data.x, data.y)
    answers = conversions.onnx_answers(model, data.held_out)
    np.testing.assert_allclose(answers["scores"], model.predict_proba(data.held_out), atol=1e-6)
    np.testing.assert_array_equal(answers["label"], model.predict(data.held_out))
