"""Models of the table of house prices, with text and gaps, as ``onnx-fp32`` sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from edgeml.converters.sklearn.to_onnx import convert
from edgeml.core.conversion import ConversionJob
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.sources.sklearn import open_source
from tests.support.houses import houses

__all__ = ["FRAME", "HELD_OUT", "PRICES", "assert_near", "check_regressor", "columns", "forest", "imputed", "opened"]

FRAME, PRICES = houses(600, 0)
HELD_OUT, _ = houses(300, 1)


def forest() -> Any:
    """Not fitted. Decimals lie on its thresholds: float32 columns would give other answers."""
    return RandomForestRegressor(20, random_state=0)


def opened(model: Any, folder: Path) -> Session:
    """A session of the model's artifact."""
    path = folder / "model.skops"
    skops.io.dump(model, path)
    source: Any = open_source(path)
    artifact = convert(source, find_recipe("onnx-fp32"), ConversionJob(folder))
    return find_engine("onnx")(artifact.data, artifact.signature, needs=artifact.needs, decision=source.info.decision)


def columns(frame: Any, names: list[str]) -> dict[str, np.ndarray]:
    """Columns of a data frame by name."""
    return {name: frame[name].to_numpy() for name in names}


def assert_near(found: Any, wanted: np.ndarray) -> None:
    """Equal but for the rounding of float32."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def imputed(step: Any) -> Any:
    """The step behind a SimpleImputer."""
    return make_pipeline(SimpleImputer(), step)


def check_regressor(model: Any, folder: Path) -> None:
    """A regressor of numbers and one text answers rows held out as scikit-learn does, unknown texts among them."""
    model = clone(model).fit(FRAME, PRICES)
    session = opened(model, folder)
    assert [spec.dtype for spec in session.signature.inputs].count("string") == 1
    names = [spec.name for spec in session.signature.inputs]
    held_out = HELD_OUT.copy()
    held_out.loc[::7, "district"] = "elsewhere"
    if any(spec.texts for spec in session.signature.inputs):
        held_out = HELD_OUT
    found = session.predict(columns(held_out, names))
    assert_near(found, model.predict(held_out))
