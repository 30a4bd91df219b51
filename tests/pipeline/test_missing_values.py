"""Missing values from the source's own answers to the sessions of a package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edgeml
from edgeml.core.errors import InputError
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.pipeline.missing_values import complete_rows, gap_rows, lacks_gaps
from tests.support.houses import NUMBERS, houses, pipeline

FRAME, PRICES = houses(400, 0)
HELD_OUT, TRUTH = houses(200, 1)


@pytest.fixture(scope="module")
def package() -> edgeml.Package:
    return edgeml.build(
        pipeline(Ridge()).fit(FRAME, PRICES), name="houses", calibration=FRAME, evaluation=(HELD_OUT, TRUTH)
    )


def test_a_frame_to_a_package_and_back(package: edgeml.Package, tmp_path: Path) -> None:
    wanted = pipeline(Ridge()).fit(FRAME, PRICES).predict(HELD_OUT)
    assert package.released == ("onnx-fp32",)
    package.save(tmp_path / "houses.edgeml")
    checks = edgeml.open_package(tmp_path / "houses.edgeml").verify().golden
    assert [check.status for check in checks] == ["holds"]
    session = edgeml.load(tmp_path / "houses.edgeml")
    rows = HELD_OUT.astype(object).where(HELD_OUT.notna(), None)
    for data in (HELD_OUT, rows.to_dict("records"), rows.to_dict("list")):
        found = np.asarray(session.predict(data, raw=True))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * wanted.max())
    inputs = {name: HELD_OUT[name].to_numpy() for name in (*NUMBERS, "district")}
    np.testing.assert_array_equal(session.predict(inputs), found)


def test_every_other_recipe_says_why_not(package: edgeml.Package) -> None:
    refused = {record.recipe: record for record in package.manifest.refused}
    assert len(refused) == 8
    assert all("a column is text" in record.reason and "onnx-fp32" in record.fix for record in refused.values())


def test_text_without_data_is_refused() -> None:
    with pytest.raises(InputError, match=r"inputs district accept text.*Fix: give evaluation or calibration"):
        edgeml.build(pipeline(Ridge()).fit(FRAME, PRICES))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (HELD_OUT.drop(columns="area"), "columns are missing: area"),
        (HELD_OUT.assign(area="large"), "column 'area': got 'large', expected a number"),
        (HELD_OUT.assign(district=3), "column 'district': got 3, expected text"),
        (HELD_OUT[:0], "got 0 samples"),
    ],
)
def test_tables_that_do_not_fit(frame: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        edgeml.build(pipeline(Ridge()).fit(FRAME, PRICES), evaluation=frame)


def test_recipes_that_take_no_gaps_are_refused_where_the_data_hold_some() -> None:
    model = make_pipeline(SimpleImputer(), StandardScaler(), HistGradientBoostingRegressor(max_iter=5))
    numbers = FRAME[NUMBERS]
    package = edgeml.build(
        model.fit(numbers, PRICES), recipes=["onnx-fp32"], calibration=numbers, evaluation=(HELD_OUT[NUMBERS], TRUTH)
    )
    assert package.released == ("onnx-fp32",)
    (record,) = package.manifest.artifacts
    assert record.signature.inputs[0].gaps is True


def test_calibration_samples_that_all_lack_a_value() -> None:
    numbers = FRAME[NUMBERS].assign(age=np.nan)
    model = make_pipeline(SimpleImputer(), StandardScaler(), Ridge()).fit(FRAME[NUMBERS], PRICES)
    package = edgeml.build(model, recipes=["tflite-int8"], calibration=numbers, evaluation=HELD_OUT[NUMBERS].dropna())
    (refused,) = package.manifest.refused
    assert refused.reason == "Each calibration sample lacks a value."


@pytest.mark.slow
def test_numbers_of_a_table_in_every_recipe() -> None:
    table = load_wine(as_frame=True)
    rows, labels = table.data, table.target
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[::2], labels[::2])
    package = edgeml.build(model, calibration=rows[::2], evaluation=(rows[1::2], labels[1::2]))
    made = {record.recipe: record for record in package.manifest.artifacts}
    assert {"tflite-fp32", "tflite-fp16", "tflite-int8", "onnx-fp32", "onnx-int8"} <= set(made)
    dtypes = {recipe: record.signature.inputs[0].dtype for recipe, record in made.items()}
    assert dtypes["onnx-fp32"] == "float64"
    assert dtypes["tflite-fp32"] == "float32"
    for recipe in ("onnx-fp32", "tflite-fp32"):
        found = package.session(recipe).classify(rows[1::2], raw=True)
        np.testing.assert_array_equal(found, model.predict(rows[1::2]))


def test_numbers_without_gaps_are_refused_with_them() -> None:
    whole = FRAME[NUMBERS].dropna()
    model = make_pipeline(StandardScaler(), Ridge()).fit(whole, PRICES[whole.index])
    package = edgeml.build(model, recipes=["onnx-fp32"], evaluation=whole)
    session = package.session("onnx-fp32")
    assert session.signature.inputs[0].gaps is False
    with pytest.raises(InputError, match="input 'features': sample 0 holds NaN"):
        session.predict([[np.nan, 1.0, 2.0]])


NUMBER = TensorSpec("a", (None, 3), "float32", gaps=(0, 2))
TEXT = TensorSpec("b", (None, 1), "string", gaps=True)


def test_each_row_lacks_one_value() -> None:
    inputs = {"a": np.ones((5, 3), np.float32), "b": np.array([["x"]] * 5)}
    found = gap_rows(inputs, Signature((NUMBER, TEXT), ()))
    assert found is not None
    assert np.argwhere(np.isnan(found["a"][:4])).tolist() == [[0, 0], [1, 2], [3, 0]]
    assert found["b"][:4, 0].tolist() == ["x", "x", "", "x"]
    assert len(found["a"]) == len(found["b"]) == 256
    assert not np.isnan(inputs["a"]).any()
    whole = complete_rows(found)
    assert len(whole["a"]) == 0
    assert gap_rows(inputs, Signature((TensorSpec("a", (None, 3), "float32"),), ())) is None


def test_what_an_artifact_lacks() -> None:
    inputs = {"a": np.array([[1.0, np.nan]], np.float32)}
    assert lacks_gaps(inputs, Signature((TensorSpec("a", (None, 2), "float32"),), ()))
    assert not lacks_gaps(inputs, Signature((TensorSpec("a", (None, 2), "float32", gaps=(1,)),), ()))
    assert not lacks_gaps({"a": np.ones((2, 2))}, Signature((TensorSpec("a", (None, 2), "float32"),), ()))
