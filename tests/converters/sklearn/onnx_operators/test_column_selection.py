"""A selection of columns as ONNX."""

from __future__ import annotations

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from tests.support.sklearn_cases import Conversions
from tests.support.tables import table


def test_columns_come_in_the_order_that_was_asked_for(conversions: Conversions) -> None:
    data = table("wine")
    chosen = make_column_transformer(("passthrough", [12, 0, 5]), ("passthrough", [5, 1]))
    model = make_pipeline(MaxAbsScaler(), chosen).fit(data.x)
    np.testing.assert_array_equal(conversions.onnx_values(model, data.held_out), model.transform(data.held_out))
