"""Models trained on tables with text and gaps, against scikit-learn on the same tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVR, LinearSVC
from sklearn.tree import DecisionTreeRegressor

from edgeml.converters.sklearn_to_onnx import convert
from edgeml.core.conversion import ConversionJob
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.recipe import find_recipe
from edgeml.runtimes.onnxruntime import OnnxRuntimeSession
from edgeml.sources.sklearn import open_source
from tests.support.houses import NUMBERS, houses, pipeline

FRAME, PRICES = houses(600, 0)
HELD_OUT, _ = houses(300, 1)
DEAR = np.where(np.median(PRICES) < PRICES, "dear", "cheap")
FOREST = RandomForestRegressor(20, random_state=0)


def converted(model: Any, folder: Path) -> OnnxRuntimeSession:
    path = folder / "model.skops"
    skops.io.dump(model, path)
    source: Any = open_source(path)
    artifact = convert(source, find_recipe("onnx-fp32"), ConversionJob(folder))
    return OnnxRuntimeSession(artifact.data, artifact.signature, needs=artifact.needs, decision=source.info.decision)


def columns(frame: Any, names: list[str]) -> dict[str, np.ndarray]:
    return {name: frame[name].to_numpy() for name in names}


def near(found: Any, wanted: np.ndarray) -> None:
    """Equal but for the rounding of float32."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def imputed(step: Any) -> Any:
    return make_pipeline(SimpleImputer(), step)


@pytest.mark.parametrize(
    "model",
    [
        *(pipeline(model) for model in (Ridge(), SVR(), GradientBoostingRegressor(n_estimators=20, random_state=0))),
        # Decimals lie on thresholds: float32 columns would give other answers.
        *(
            pipeline(clone(model), numbers=imputed(step))
            for model in (FOREST, HistGradientBoostingRegressor(max_iter=20), DecisionTreeRegressor(random_state=0))
            for step in (StandardScaler(), MinMaxScaler(), RobustScaler(), QuantileTransformer(n_quantiles=50))
        ),
        *(
            pipeline(clone(FOREST), text=text)
            for text in (
                OneHotEncoder(handle_unknown="ignore"),
                OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=140),
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
                TargetEncoder(cv=KFold(3)),
                make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OrdinalEncoder()),
            )
        ),
        pipeline(clone(FOREST), numbers=SimpleImputer(add_indicator=True)),
        pipeline(clone(FOREST), numbers=imputed(FunctionTransformer(np.log1p))),
        pipeline(make_pipeline(SelectKBest(f_regression, k=4), PCA(3, random_state=0), clone(FOREST))),
        TransformedTargetRegressor(pipeline(Ridge()), func=np.log1p, inverse_func=np.expm1),
        make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore"), ["district"]),
                (SimpleImputer(), make_column_selector(dtype_include=float)),
            ),
            clone(FOREST),
        ),
    ],
    ids=lambda model: "",
)
def test_regressors(model: Any, tmp_path: Path) -> None:
    model.fit(FRAME, PRICES)
    session = converted(model, tmp_path)
    assert [spec.dtype for spec in session.signature.inputs].count("string") == 1
    names = [spec.name for spec in session.signature.inputs]
    held_out = HELD_OUT.copy()
    held_out.loc[::7, "district"] = "elsewhere"
    if any(spec.texts for spec in session.signature.inputs):
        held_out = HELD_OUT
    found = session.predict(columns(held_out, names))
    near(found, model.predict(held_out))


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
    session = converted(fitted, tmp_path)
    assert (session.classify(columns(HELD_OUT, [*NUMBERS, "district"])) == fitted.predict(HELD_OUT)).all()


def test_numbers_alone_are_one_input_without_the_columns_that_are_dropped(tmp_path: Path) -> None:
    model = make_pipeline(make_column_transformer((SimpleImputer(), ["age", "area"])), Ridge()).fit(FRAME, PRICES)
    session = converted(model, tmp_path)
    (spec,) = session.signature.inputs
    assert (spec.name, spec.shape, spec.dtype, spec.gaps) == ("features", (None, 2), "float64", True)
    found = session.predict(HELD_OUT[["area", "age"]].to_numpy())
    near(found, model.predict(HELD_OUT))


def test_gaps_in_some_columns(tmp_path: Path) -> None:
    whole = FRAME.assign(rooms=FRAME["rooms"].fillna(3.0))
    model = make_pipeline(make_column_transformer((SimpleImputer(), ["age"]), ("passthrough", ["rooms"])), Ridge())
    session = converted(model.fit(whole, PRICES), tmp_path)
    (spec,) = session.signature.inputs
    assert spec.gaps == (1,)
    assert np.isfinite(np.asarray(session.predict([[3.0, np.nan]]))).all()
    with pytest.raises(InputError, match="sample 1 holds NaN"):
        session.predict([[3.0, 2.0], [np.nan, 3.0]])


@pytest.mark.parametrize("order", [[3, 0, 2, 1], [0, 1, 2, 3], [2, 0]])
def test_columns_of_arrays_keep_their_order(order: list[int], tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    model = make_pipeline(make_column_transformer(("passthrough", order), (StandardScaler(), [1])), Ridge())
    model.fit(x, x @ [1.0, 10.0, 100.0, 1000.0])
    near(converted(model, tmp_path).predict(x), model.predict(x))


def test_arrays_of_objects(tmp_path: Path) -> None:
    table = FRAME[[*NUMBERS, "district"]].to_numpy(dtype=object)
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    model = make_pipeline(make_column_transformer((SimpleImputer(), [0, 1, 2]), (text, [3])), clone(FOREST))
    session = converted(model.fit(table, PRICES), tmp_path)
    held_out = HELD_OUT[[*NUMBERS, "district"]].to_numpy(dtype=object)
    found = session.predict({f"column_{place}": held_out[:, place] for place in range(4)})
    near(found, model.predict(held_out))


def test_only_known_texts_where_the_model_raises_for_others(tmp_path: Path) -> None:
    whole = FRAME.dropna()
    model = pipeline(Ridge(), text=OneHotEncoder()).fit(whole, PRICES[whole.index])
    session = converted(model, tmp_path)
    rows = columns(whole, [*NUMBERS, "district"])
    near(session.predict(rows), model.predict(whole))
    with pytest.raises(InputError, match=r"input 'district': got 'elsewhere'.*knows Köln, Mitte, north, south"):
        session.predict(rows | {"district": np.full(len(whole), "elsewhere")})
    with pytest.raises(InputError, match="input 'district': sample 0 holds a missing text"):
        session.predict(rows | {"district": [None] * len(whole)})


def test_a_function_without_a_route_is_refused(tmp_path: Path) -> None:
    model = pipeline(Ridge(), numbers=imputed(FunctionTransformer(np.sin))).fit(FRAME, PRICES)
    with pytest.raises(UnsupportedModelError, match="no route for a FunctionTransformer of 'sin'"):
        converted(model, tmp_path)
