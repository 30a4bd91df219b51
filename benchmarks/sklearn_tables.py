"""scikit-learn estimators on its own tables, by all nine recipes, against scikit-learn on held-out rows.

    python benchmarks/sklearn_tables.py [TABLE ...]

Prints a row for each estimator and table: `R` released, `x` rejected, `.` refused, by recipe; then the SQNR and the
other labels of `onnx-fp32`, `tflite-fp32` and `tflite-int8`, found here by running the package's sessions beside the
estimator, not taken from the package.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

import edgeml

MARKS = {"released": "R", "rejected": "x"}
COMPARED = ("onnx-fp32", "tflite-fp32", "tflite-int8")


def estimators(*, classify: bool) -> Iterator[Any]:
    """The estimators that most people bring."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import (
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    scaled = lambda *steps: make_pipeline(StandardScaler(), *steps)  # noqa: E731  # a name for a phrase
    if classify:
        yield LogisticRegression(max_iter=5000)
        yield scaled(PCA(6), LogisticRegression(max_iter=1000))
        yield scaled(MLPClassifier((32,), max_iter=400, random_state=0))
        yield MLPClassifier((32,), max_iter=400, random_state=0)
        yield SVC()
        yield scaled(SVC(decision_function_shape="ovo"))
        yield RandomForestClassifier(50, random_state=0)
        yield GradientBoostingClassifier(n_estimators=30, random_state=0)
        yield scaled(RandomForestClassifier(50, random_state=0))
        yield DecisionTreeClassifier(random_state=0)
        yield HistGradientBoostingClassifier(max_iter=30, random_state=0)
        yield GaussianNB()
        yield KNeighborsClassifier()
        return
    yield LinearRegression()
    yield Ridge()
    yield scaled(PCA(6), Ridge())
    yield scaled(MLPRegressor(hidden_layer_sizes=(32,), max_iter=1500, random_state=0))
    yield SVR()
    yield RandomForestRegressor(50, random_state=0)
    yield GradientBoostingRegressor(n_estimators=30, random_state=0)
    yield DecisionTreeRegressor(random_state=0)
    yield HistGradientBoostingRegressor(max_iter=30, random_state=0)
    yield KNeighborsRegressor()


def tables() -> Iterator[tuple[str, np.ndarray, np.ndarray, bool]]:
    """Name, rows, labels or values, and whether they are labels."""
    from sklearn import datasets

    for name in ("digits", "wine", "breast_cancer"):
        bunch = getattr(datasets, f"load_{name}")()
        yield name, bunch.data, bunch.target, True
        yield f"{name} (text)", bunch.data, np.array([f"class {label}" for label in bunch.target]), True
    bunch = datasets.load_diabetes()
    yield "diabetes", bunch.data, bunch.target, False


def against_source(package: edgeml.Package, recipe: str, model: Any, rows: np.ndarray) -> tuple[float, int]:
    """SQNR and number of other labels of an artifact, against scikit-learn's own answers."""
    session = package.session(recipe)
    names = ("predict_proba", "decision_function", "predict")
    method = next(getattr(model, name) for name in names if hasattr(model, name))
    wanted, found = method(rows), session.predict(rows)
    assert isinstance(found, np.ndarray)
    assert found.shape == wanted.shape
    noise = float(np.square(found - wanted).sum())
    flips = int((session.classify(rows) != model.predict(rows)).sum()) if hasattr(model, "classes_") else 0
    return 10 * np.log10(float(np.square(wanted).sum()) / noise) if noise else np.inf, flips


def main() -> None:
    """Builds all and prints the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="which tables; all by default")
    wanted = parser.parse_args().tables
    print(
        f"{'table':22}{'estimator':46}"
        + " ".join(recipe.id.replace("tflite", "tfl") for recipe in edgeml.RECIPES)
        + "".join(f"  {recipe + ' dB, flips':>20}" for recipe in COMPARED)
    )
    for table, rows, truth, classify in tables():
        if wanted and table not in wanted:
            continue
        order = np.random.default_rng(0).permutation(len(rows))
        cut = 2 * len(rows) // 3
        fit, held_out = order[:cut], order[cut:]
        for model in estimators(classify=classify):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # fits that need not converge
                model.fit(rows[fit].astype(np.float32), truth[fit])
            x = rows[held_out].astype(np.float32)
            package = edgeml.build(model, calibration=rows[fit][:100], evaluation=(x, truth[held_out]))
            status = {record.recipe: MARKS[record.verdict.status] for record in package.manifest.artifacts}
            steps = (
                [type(step).__name__ for _, step in model.steps] if hasattr(model, "steps") else [type(model).__name__]
            )
            marks = " ".join(f"{status.get(r.id, '.'):^{len(r.id.replace('tflite', 'tfl'))}}" for r in edgeml.RECIPES)
            figures = ""
            for recipe in COMPARED:
                sqnr, flips = against_source(package, recipe, model, x) if recipe in status else (np.nan, -1)
                figures += f"  {f'{sqnr:.1f}, {flips} of {len(x)}' if flips >= 0 else '-':>20}"
            print(f"{table:22}{'+'.join(steps):46}{marks}{figures}", flush=True)


if __name__ == "__main__":
    main()
