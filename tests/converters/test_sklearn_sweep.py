"""Every estimator of scikit-learn against the table of outcomes that is checked in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from edgeml.converters import sklearn_to_onnx
from edgeml.core.conversion import ConversionJob
from edgeml.core.recipe import find_recipe
from edgeml.sources.sklearn import open_source, save
from tests.support.scripts import benchmark
from tests.support.tables import table

LEAST_RIGHT = 120


def test_every_estimator_is_right_or_refused_as_the_table_says() -> None:
    module = benchmark("sklearn_sweep")
    found = {outcome.name: outcome for outcome, _ in module.run()}
    assert found == module.expected()


def test_the_table_holds_nothing_wrong_and_enough_that_is_right() -> None:
    outcomes = benchmark("sklearn_sweep").expected().values()
    assert {outcome.outcome for outcome in outcomes} == {"right", "refused"}
    assert all(outcome.reason for outcome in outcomes if outcome.outcome == "refused")
    right = {outcome.name for outcome in outcomes if outcome.outcome == "right" and "(" not in outcome.name}
    assert len(right) >= LEAST_RIGHT
    kinds = Counter(outcome.name.partition(" ")[0] for outcome in outcomes)
    assert kinds["VotingClassifier"] > 2


def raw_values(model: BaseEstimator, rows: np.ndarray, folder: Path) -> np.ndarray:
    save(model, folder / "model.skops")
    source: Any = open_source(folder / "model.skops")
    artifact = sklearn_to_onnx.convert(source, find_recipe("onnx-fp32"), ConversionJob(folder))
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"features": rows})[0])


@pytest.mark.parametrize(
    "model",
    [
        KNNImputer(),
        KNNImputer(add_indicator=True),
        MissingIndicator(),
        SimpleImputer(add_indicator=True),
        HistGradientBoostingClassifier(max_iter=5),
    ],
    ids=str,
)
def test_gaps_that_other_tools_let_through(model: BaseEstimator, tmp_path: Path) -> None:
    data = table("wine")
    random = np.random.default_rng(0)
    x, rows = data.x.copy(), data.held_out.copy()
    for values in (x, rows):
        values[random.random(values.shape) < 0.1] = np.nan
    model.fit(x, data.y)
    expected = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.transform(rows)
    np.testing.assert_allclose(raw_values(model, rows, tmp_path), expected, rtol=1e-5, atol=1e-6)


def test_categories_not_seen_in_training_do_not_pass_for_known_ones(tmp_path: Path) -> None:
    seen = np.array([[1.0], [2.0], [4.0]], dtype=np.float32)
    model = OneHotEncoder(sparse_output=False).fit(seen)
    rows = np.array([[2.0], [2.5]], dtype=np.float32)
    known, unknown = raw_values(model, rows, tmp_path)
    np.testing.assert_array_equal(known, [0, 1, 0])
    assert np.isnan(unknown).all()
