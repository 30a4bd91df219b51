"""Packages of MLPerf Tiny's nets and of models of scikit-learn, made once and kept in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mlperf_tiny import MODELS
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edgeml

RECIPES = ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"]
ESTIMATORS = {
    "logistic regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "forest": lambda: RandomForestClassifier(100, random_state=0),
}


def fitted(name: str) -> tuple[BaseEstimator, np.ndarray, np.ndarray]:
    """A model of scikit-learn fitted to digits, with their pixels and labels."""
    digits = load_digits()
    x = digits.data.astype(np.float32)
    return ESTIMATORS[name]().fit(x, digits.target), x, digits.target


def packed(name: str) -> tuple[edgeml.Package, BaseEstimator, np.ndarray]:
    """Its package, itself and the pixels."""
    model, x, y = fitted(name)
    recipes = ["onnx-fp32", "tflite-fp32", "tflite-int8"]
    return edgeml.build(model, calibration=x[:200], evaluation=(x[:400], y[:400]), recipes=recipes), model, x


def net(name: str, mlperf: Path, kept: Path) -> edgeml.Package:
    """The package of one net, from `kept` where it is there."""
    path = kept / f"{name}.edgeml"
    if not path.exists():
        kept.mkdir(parents=True, exist_ok=True)
        file, make = MODELS[name]
        data = make(mlperf)
        package = edgeml.build(
            mlperf / "models" / file,
            name=name,
            calibration=data.calibration,
            evaluation=data.evaluation[:50],
            recipes=RECIPES,
        )
        package.save(path)
    return edgeml.open_package(path)
