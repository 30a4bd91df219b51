"""FunctionTransformer of numpy's functions as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer

from edgeml.core.errors import UnsupportedModelError
from tests.support.houses import pipeline
from tests.support.sklearn_cases import Conversions, assert_faithful
from tests.support.sklearn_columns import FRAME, PRICES, check_regressor, forest, imputed, opened
from tests.support.tables import table


@pytest.mark.parametrize(
    "function",
    [
        np.absolute,
        np.exp,
        np.expm1,
        np.log,
        np.log10,
        np.log1p,
        np.log2,
        np.negative,
        np.sqrt,
        np.square,
    ],
    ids=lambda function: function.__name__,
)
def test_functions_of_numpy_answer_as_numpy(function: Any, conversions: Conversions) -> None:
    rows = table("wine").held_out[:, :3]
    model = FunctionTransformer(function).fit(rows)
    assert_faithful(conversions.onnx_values(model, rows), function(rows.astype(np.float64)))


def test_a_function_before_trees_of_a_table(tmp_path: Path) -> None:
    check_regressor(pipeline(forest(), numbers=imputed(FunctionTransformer(np.log1p))), tmp_path)


def test_a_function_without_a_route_is_refused(conversions: Conversions) -> None:
    with pytest.raises(UnsupportedModelError, match="FunctionTransformer: the function 'sin' is not supported in ONNX"):
        conversions.convert(FunctionTransformer(np.sin).fit(table("wine").x), "onnx-fp32")


def test_a_function_without_a_route_in_a_table_is_refused(tmp_path: Path) -> None:
    model = pipeline(Ridge(), numbers=imputed(FunctionTransformer(np.sin))).fit(FRAME, PRICES)
    with pytest.raises(UnsupportedModelError, match="FunctionTransformer: the function 'sin' is not supported"):
        opened(model, tmp_path)
