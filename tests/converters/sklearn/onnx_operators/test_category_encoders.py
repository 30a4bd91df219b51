"""Encoders of categories as ONNX, of text and of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from edgeml.core.errors import InputError
from tests.support.houses import NUMBERS, pipeline
from tests.support.sklearn_cases import Conversions
from tests.support.sklearn_columns import FRAME, PRICES, assert_near, check_regressor, columns, forest, opened


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=140),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
        TargetEncoder(cv=KFold(3)),
        make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OrdinalEncoder()),
    ],
    ids=lambda text: "",
)
def test_regressors_of_encoded_text(text: Any, tmp_path: Path) -> None:
    check_regressor(pipeline(forest(), text=text), tmp_path)


def test_only_known_texts_where_the_model_raises_for_others(tmp_path: Path) -> None:
    whole = FRAME.dropna()
    model = pipeline(Ridge(), text=OneHotEncoder()).fit(whole, PRICES[whole.index])
    session = opened(model, tmp_path)
    rows = columns(whole, [*NUMBERS, "district"])
    assert_near(session.predict(rows), model.predict(whole))
    with pytest.raises(InputError, match=r"input 'district': got 'elsewhere'.*knows Köln, Mitte, north, south"):
        session.predict(rows | {"district": np.full(len(whole), "elsewhere")})
    with pytest.raises(InputError, match="input 'district': sample 0 holds a missing text"):
        session.predict(rows | {"district": [None] * len(whole)})


def test_categories_not_seen_in_training_do_not_pass_for_known_ones(conversions: Conversions) -> None:
    seen = np.array([[1.0], [2.0], [4.0]], dtype=np.float32)
    model = OneHotEncoder(sparse_output=False).fit(seen)
    rows = np.array([[2.0], [2.5]], dtype=np.float32)
    known, unknown = conversions.onnx_values(model, rows)
    np.testing.assert_array_equal(known, [0, 1, 0])
    assert np.isnan(unknown).all()


def test_numbers_and_gaps_among_the_categories(conversions: Conversions) -> None:
    seen = np.array([[1.0, 5.0], [2.0, np.nan], [4.0, 5.0]], dtype=np.float32)
    model = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2).fit(seen)
    rows = np.array([[2.0, np.nan], [2.5, 5.0], [4.0, 6.0]], dtype=np.float32)
    np.testing.assert_array_equal(conversions.onnx_values(model, rows), model.transform(rows))
