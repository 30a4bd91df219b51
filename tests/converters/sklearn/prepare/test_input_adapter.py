"""Models trained on tables with text and gaps, against scikit-learn on the same tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, QuantileTransformer, RobustScaler, StandardScaler
from sklearn.svm import SVR, LinearSVC
from sklearn.tree import DecisionTreeRegressor

from edgeml.core.errors import InputError
from tests.support.houses import NUMBERS, pipeline
from tests.support.sklearn_columns import (
    FRAME,
    HELD_OUT,
    PRICES,
    assert_near,
    check_regressor,
    columns,
    forest,
    imputed,
    opened,
)

DEAR = np.where(np.median(PRICES) < PRICES, "dear", "cheap")


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        *(pipeline(model) for model in (Ridge(), SVR(), GradientBoostingRegressor(n_estimators=20, random_state=0))),
        # Decimals lie on thresholds: float32 columns would give other answers.
        *(
            pipeline(model, numbers=imputed(step))
            for model in (forest(), HistGradientBoostingRegressor(max_iter=20), DecisionTreeRegressor(random_state=0))
            for step in (StandardScaler(), MinMaxScaler(), RobustScaler(), QuantileTransformer(n_quantiles=50))
        ),
        pipeline(make_pipeline(SelectKBest(f_regression, k=4), PCA(3, random_state=0), forest())),
        make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore"), ["district"]),
                (SimpleImputer(), make_column_selector(dtype_include=float)),
            ),
            forest(),
        ),
    ],
    ids=lambda model: "",
)
def test_regressors(model: Any, tmp_path: Path) -> None:
    check_regressor(model, tmp_path)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        LinearSVC(random_state=0),
        RandomForestClassifier(20, random_state=0),
        HistGradientBoostingClassifier(max_iter=20),
    ],
    ids=lambda model: type(model).__name__,
)
def test_classifiers(model: Any, tmp_path: Path) -> None:
    fitted = pipeline(model).fit(FRAME, DEAR)
    session = opened(fitted, tmp_path)
    assert (session.classify(columns(HELD_OUT, [*NUMBERS, "district"])) == fitted.predict(HELD_OUT)).all()


def test_numbers_alone_are_one_input_without_the_columns_that_are_dropped(tmp_path: Path) -> None:
    model = make_pipeline(make_column_transformer((SimpleImputer(), ["age", "area"])), Ridge()).fit(FRAME, PRICES)
    session = opened(model, tmp_path)
    (spec,) = session.signature.inputs
    assert (spec.name, spec.shape, spec.dtype, spec.missing_values) == ("features", (None, 2), "float64", True)
    found = session.predict(HELD_OUT[["area", "age"]].to_numpy())
    assert_near(found, model.predict(HELD_OUT))


def test_gaps_in_some_columns(tmp_path: Path) -> None:
    whole = FRAME.assign(rooms=FRAME["rooms"].fillna(3.0))
    model = make_pipeline(make_column_transformer((SimpleImputer(), ["age"]), ("passthrough", ["rooms"])), Ridge())
    session = opened(model.fit(whole, PRICES), tmp_path)
    (spec,) = session.signature.inputs
    assert spec.missing_values == (1,)
    assert np.isfinite(np.asarray(session.predict([[3.0, np.nan]]))).all()
    with pytest.raises(InputError, match="sample 1 holds NaN"):
        session.predict([[3.0, 2.0], [np.nan, 3.0]])


def test_arrays_of_objects(tmp_path: Path) -> None:
    table = FRAME[[*NUMBERS, "district"]].to_numpy(dtype=object)
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    model = make_pipeline(make_column_transformer((SimpleImputer(), [0, 1, 2]), (text, [3])), forest())
    session = opened(model.fit(table, PRICES), tmp_path)
    held_out = HELD_OUT[[*NUMBERS, "district"]].to_numpy(dtype=object)
    found = session.predict({f"column_{place}": held_out[:, place] for place in range(4)})
    assert_near(found, model.predict(held_out))
