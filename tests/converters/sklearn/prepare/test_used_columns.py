"""Columns of a table in any order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tests.support.sklearn_columns import assert_near, opened


@pytest.mark.parametrize("order", [[3, 0, 2, 1], [0, 1, 2, 3], [2, 0]])
def test_columns_of_arrays_keep_their_order(order: list[int], tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    model = make_pipeline(make_column_transformer(("passthrough", order), (StandardScaler(), [1])), Ridge())
    model.fit(x, x @ [1.0, 10.0, 100.0, 1000.0])
    assert_near(opened(model, tmp_path).predict(x), model.predict(x))


def test_columns_are_found_behind_another_step(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    chosen = make_column_transformer((StandardScaler(), [3, 1]), ("drop", [2]), ("passthrough", [0]))
    model = make_pipeline(MinMaxScaler(), chosen, Ridge()).fit(x, x @ [1.0, 10.0, 100.0, 1000.0])
    assert_near(opened(model, tmp_path).predict(x), model.predict(x))
