"""Transformers rebuilt for TFLite, alone and before a model, against scikit-learn on rows held out."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from tests.support.sklearn_cases import QUIET, Conversions, assert_faithful, run_onnx, run_tflite
from tests.support.tables import table

pytestmark = QUIET


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        RobustScaler(with_centering=False),
        PCA(4),
        PCA(4, whiten=True),
        TruncatedSVD(4, random_state=0),
        make_pipeline(MinMaxScaler(), PCA(3, whiten=True)),
        Pipeline([("a", "passthrough"), ("b", MinMaxScaler())]),
    ],
    ids=str,
)
def test_transformers(model: Any, conversions: Conversions) -> None:
    data = table("wine")
    expected = model.fit(data.x).transform(data.held_out)
    assert_faithful(run_tflite(conversions.convert(model, "tflite-fp32"), data.held_out), expected)
    assert_faithful(run_onnx(conversions.convert(model, "onnx-fp32"), data.held_out)["values"], expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(SelectKBest(k=4), RandomForestClassifier(5, random_state=0)),
        make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=200)),
        make_pipeline(KBinsDiscretizer(5, encode="onehot-dense"), LogisticRegression(max_iter=200)),
        make_pipeline(Normalizer(), LogisticRegression(max_iter=200)),
        make_pipeline(SimpleImputer(), RobustScaler(), RandomForestClassifier(5, random_state=0)),
    ],
    ids=["chosen", "products", "bins", "lengths", "imputed"],
)
def test_no_label_flips_behind_a_transformer(model: Any, conversions: Conversions) -> None:
    data = table("wine")
    conversions.check_tflite(model.fit(data.x, data.y), data.held_out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", [PowerTransformer(), QuantileTransformer(n_quantiles=50), KBinsDiscretizer(7, encode="ordinal")], ids=str
)
def test_what_rises_before_trees_goes_into_their_thresholds(step: Any, conversions: Conversions) -> None:
    data = table("wine")
    model = make_pipeline(step, RandomForestClassifier(10, random_state=0)).fit(data.x, data.y)
    conversions.check_tflite(model, data.held_out)
