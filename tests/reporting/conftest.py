"""A package, what was measured of it on this machine, and a browser.

The package is the oldest there is, and is kept; two others, for what it does not tell yet, are made in seconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression

import edgeml
from edgeml.core.records.benchmark_results import Results, encode_results
from edgeml.package.npy import decode_array
from edgeml.reporting import make_report
from tests.support.linear_onnx import write_linear_onnx
from tests.support.make_format1 import PACKAGE
from tests.support.measured import measured_results

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def package() -> edgeml.Package:
    """The net on digits, as tflite-int8 and onnx-fp32."""
    return edgeml.open_package(PACKAGE)


@pytest.fixture(scope="session")
def measured(package: edgeml.Package) -> Results:
    inputs = decode_array(package.read(package.manifest.golden.inputs["image"]), "image")
    return measured_results(package, inputs, device="bench-1")


@pytest.fixture(scope="session")
def results_files(measured: Results, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of two devices; the second's figures are doubtful."""
    folder = tmp_path_factory.mktemp("results")
    conditions = msgspec.structs.replace(measured.measurements[0].conditions, flags=("other processes took 41%",))
    other = msgspec.structs.replace(
        measured,
        machine=msgspec.structs.replace(measured.machine, device="pi@board"),
        measurements=tuple(msgspec.structs.replace(one, conditions=conditions) for one in measured.measurements),
    )
    paths = folder / "bench-1.json", folder / "pi.json"
    for path, results in zip(paths, (measured, other), strict=True):
        path.write_bytes(encode_results(results))
    return paths


@pytest.fixture(scope="session")
def page_file(
    package: edgeml.Package, results_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(make_report(package, results_files))
    return path


class Judged(NamedTuple):
    """A package, and what its evidence is found again from: true answers, scikit-learn's, the artifact's."""

    package: edgeml.Package
    truth: np.ndarray
    source: np.ndarray
    artifact: np.ndarray


RECIPES = ["onnx-fp32", "onnx-fp16"]
GOAL = edgeml.Goal(max_drop=0.03, min_sqnr_db=10, min_agreement=0.9, lower_floors=True)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Logistic regression on digits; its artifacts have its weights rounded to halves."""
    images, truth = load_digits(return_X_y=True)
    x, count = (images / 16).astype(np.float32), 600
    model = LogisticRegression(max_iter=200, fit_intercept=False).fit(x[:count], truth[:count])
    x, truth, rounded = x[count:], truth[count:], np.round(2 * model.coef_.T) / 2
    file = tmp_path_factory.mktemp("classifier") / "digits.onnx"
    write_linear_onnx(file, rounded, softmax=True)
    package = edgeml.build(
        file, evaluation=(x, truth), labels=list(range(10)), reference=model.predict_proba(x), recipes=RECIPES,
        goal=GOAL,
    )  # fmt: skip
    return Judged(package, truth, model.predict_proba(x), softmax(x @ rounded, axis=1))


@pytest.fixture(scope="session")
def regressor(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Linear regression of three numbers of diabetes patients; its artifacts have its weights rounded to 32nds."""
    x, progress = load_diabetes(return_X_y=True)
    x, about = (20 * x).astype(np.float32), progress - progress.mean()
    y, count = np.stack([about, about * x[:, 2], progress * x[:, 3]], axis=1) / 100, 300
    model = LinearRegression(fit_intercept=False).fit(x[:count], y[:count])
    x, y, rounded = x[count:], y[count:], np.round(32 * model.coef_.T) / 32
    file = tmp_path_factory.mktemp("regressor") / "patients.onnx"
    write_linear_onnx(file, rounded, softmax=False)
    package = edgeml.build(file, evaluation=(x, y), reference=model.predict(x), recipes=RECIPES, goal=GOAL)
    return Judged(package, y, model.predict(x), x @ rounded)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """The machine's own chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        # Chromium's own sandbox does not start for root, as in containers; the pages are ours.
        yield (launched := driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]))
        launched.close()
