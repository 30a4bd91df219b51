"""A package of 11 kB with an artifact for each engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import edgeml

__all__ = ["SMALL_RECIPES", "small_package", "small_package_file"]

SMALL_RECIPES = ("tflite-fp32", "onnx-fp32")


@pytest.fixture(scope="session")
def small_package() -> edgeml.Package:
    """Logistic regression on iris."""
    x, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(x, y)
    return edgeml.build(
        model, name="iris", version="1.2.3", evaluation=(x, y), recipes=SMALL_RECIPES, licence="Apache-2.0"
    )


@pytest.fixture(scope="session")
def small_package_file(small_package: edgeml.Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, saved. Not to be written to."""
    path = tmp_path_factory.mktemp("small") / "iris.edgeml"
    small_package.save(path)
    return path
