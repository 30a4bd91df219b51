"""Every estimator of scikit-learn as `onnx-fp32`, against scikit-learn's own answers on 200 held-out rows.

    python benchmarks/sklearn_sweep.py [--write] [--only NAME,NAME]

Each class of `sklearn.utils.all_estimators()` is fitted on a small table that it can take, classifiers once with
numbers and once with text as labels; beside them stand pipelines, options that conversion tools get wrong, and models
of models. A model is saved, opened as a source and converted as a build does it, and the bytes run in onnxruntime.

The held-out rows hold ordinary ones, rows of the training table, midpoints of such rows (where trees part them),
constants, and values far outside. An outcome is `right` within the floors of `onnx-fp32` on all rows and on the
ordinary ones alone, `refused` with the reason, or `wrong`, which a build would reject. The outcomes expected are in
`tests/data/sklearn_sweep.csv`; --write puts down the ones found.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

TABLE = Path(__file__).parents[1] / "tests" / "data" / "sklearn_sweep.csv"
_COLUMNS, _TRAIN, _ORDINARY, _EACH = 6, 160, 110, 30
_GAPS, _OUTSIDE = 0.1, 0.3  # shares of the values
_REASON_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Rows:
    """A table to train on, and rows held out, the first of them ordinary.

    Attributes:
        x: float32 ``[160, columns]``. `held_out`: float32 ``[200, columns]``.
        classes: Three of them, ``[160]``. `values`: float64 targets ``[160]``.
    """

    x: np.ndarray
    held_out: np.ndarray
    classes: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, slots=True)
class Case:
    """A model to fit.

    Attributes:
        name: The class, and in brackets what is special.
        model: Not fitted.
        rows: Which table: ``plain``, ``positive``, ``counts``, ``one`` column, ``square``.
        target: ``classes``, ``two`` classes, ``values``, ``positive`` values, ``several`` values, or ``none``.
        text: Whether labels are words.
    """

    name: str
    model: Any
    rows: str = "plain"
    target: str = "none"
    text: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case: ``right``, ``refused`` or ``wrong``, with the reason or the figures."""

    name: str
    outcome: str
    reason: str = ""
    figures: str = field(default="", compare=False)


def rows_of(kind: str) -> Rows:
    """The seeded table of one kind."""
    random = np.random.default_rng(7)
    count = _TRAIN + _ORDINARY
    base = random.normal(size=(count, _COLUMNS))
    base[:, 1] = 20 + 5 * base[:, 1]
    base[:, 2] = random.integers(0, 5, count)  # with ties
    base[:, 3] = random.uniform(size=count)
    base[:, 4] = random.exponential(2.0, count)
    signal = base[:, 0] + 0.2 * (base[:, 1] - 20) + 0.5 * base[:, 2] - base[:, 3] + 0.3 * random.normal(size=count)
    classes = np.digitize(signal, np.quantile(signal, [0.3, 0.7]))
    if kind.startswith("positive"):
        base = np.abs(base) + 0.01
    elif kind == "counts":
        base = np.floor(np.abs(base * [3, 0.3, 1, 4, 1, 3])).clip(0, 9)
    elif kind == "one":
        base = base[:, :1] + 0.3 * base[:, 2:3]
    elif kind == "gaps":
        base[:_TRAIN][random.random((_TRAIN, _COLUMNS)) < _GAPS] = np.nan  # sessions take none, so none is held out
    elif kind == "square":
        base = base[:, :4] @ base[:_TRAIN, :4].T
    base = base.astype(np.float64 if kind.endswith("double") else np.float32)
    x, ordinary = base[:_TRAIN], base[_TRAIN:]
    low, high = np.nanmin(x, axis=0), np.nanmax(x, axis=0)
    constants = np.stack([x[0] * 0, x[0] * 0 + 1, low, high, np.nanmean(x, axis=0)])
    # Both far outside in every column, and in one alone.
    mixed = np.where(random.random((_EACH - len(constants), x.shape[1])) < _OUTSIDE, high + 2 * (high - low), x[:25])
    if kind == "plain":
        mixed[::2] = np.where(mixed[::2] > high, low - 2 * (high - low), mixed[::2])
    edges = np.concatenate([x[:_EACH], (x[:_EACH] + x[_EACH : 2 * _EACH]) / 2, constants, mixed])
    if kind == "counts":
        edges = np.floor(edges).clip(0, 9)
    held_out = np.concatenate([ordinary, edges]).astype(np.float32)
    held_out = np.nan_to_num(held_out)
    return Rows(x, held_out, classes[:_TRAIN], signal[:_TRAIN])


def fitted(case: Case) -> tuple[Any, Rows]:
    """The case's model, trained, and its rows."""
    rows = rows_of(case.rows)
    target: Any = {
        "classes": rows.classes,
        "two": (rows.classes > 0).astype(np.int64),
        "values": rows.values,
        "positive": np.exp(rows.values / 4),
        "several": np.stack([rows.values, np.square(rows.values), -rows.values], axis=1),
        "labels": np.stack([rows.classes > 0, rows.classes > 1], axis=1).astype(np.int64),
        "none": None,
    }[case.target]
    if case.rows in {"words", "names", "fields"}:
        table: Any = {
            "words": ["one word", "another word"] * 20,
            "names": rows.classes,
            "fields": [{"a": 1.0}, {"b": 2.0}],
        }[case.rows]
        return case.model.fit(table), rows
    if case.text:
        # As objects, since one estimator marks rows without a label by the number -1.
        target = np.array(["seven", "one", "four"], dtype=object)[target]
    return (case.model.fit(rows.x) if target is None else case.model.fit(rows.x, target)), rows


def outcome_of(case: Case, folder: Path) -> Outcome:
    """Fits, saves, opens and converts the case's model, and compares."""
    from edgeml.converters.sklearn import to_onnx as sklearn_to_onnx
    from edgeml.core.conversion import ConversionJob
    from edgeml.core.errors import UnsupportedModelError
    from edgeml.core.recipe import find_recipe
    from edgeml.sources.sklearn import open_source, save

    path = folder / "model.skops"
    try:
        model, rows = fitted(case)
    except Exception as error:  # noqa: BLE001  # scikit-learn raises many kinds
        return Outcome(case.name, "not fitted", _short(str(error)))
    try:
        save(model, path)
        source = open_source(path)
        artifact = sklearn_to_onnx.convert(source, find_recipe("onnx-fp32"), ConversionJob(folder))
    except UnsupportedModelError as error:
        return Outcome(case.name, "refused", _short(error.message))
    try:
        return _compared(case, source, artifact, rows.held_out)
    except Exception as error:  # noqa: BLE001  # so does onnxruntime
        return Outcome(case.name, "wrong", _short(str(error)))


def _compared(case: Case, source: Any, artifact: Any, held_out: np.ndarray) -> Outcome:
    import onnxruntime

    from edgeml.core.recipe import find_recipe
    from edgeml.evaluation.fidelity import CONSTANT_ERROR, fidelity_of, ties

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(artifact.data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    answers = dict(zip(names, session.run(None, {"features": held_out}), strict=True))
    reference = source.reference({"features": held_out})
    (name,) = reference.outputs
    found, wanted = answers[name], reference.outputs[name]
    if found.shape != wanted.shape:
        return Outcome(case.name, "wrong", f"shape {found.shape}, not {wanted.shape}")
    if not np.isfinite(found[np.isfinite(wanted)]).all():
        return Outcome(case.name, "wrong", "NaN or infinity")
    keep = np.isfinite(wanted.reshape(len(wanted), -1)).all(axis=1)
    floor = find_recipe("onnx-fp32").floor
    right, plain, centred, flips = True, 200.0, 200.0, 0
    for part in (keep, keep & (np.arange(len(wanted)) < _ORDINARY)):
        labels = None
        if source.info.decision is not None and reference.labels is not None:
            given = np.array(source.info.decision.labels)
            positions = np.searchsorted(given, answers["label"].astype(given.dtype))
            labels = (reference.labels[part], positions[part], ties(reference, source.info.decision)[part])
        figures = fidelity_of({name: wanted[part]}, {name: found[part]}, labels=labels and {name: labels})
        flips = max(flips, figures.flips or 0)
        if figures.centred_sqnr_db is None:
            right &= figures.max_error <= CONSTANT_ERROR
        else:
            right &= figures.sqnr_db >= floor.sqnr_db and figures.centred_sqnr_db >= floor.sqnr_db - 5
            plain, centred = min(plain, figures.sqnr_db), min(centred, figures.centred_sqnr_db)
    text = f"{plain:.0f} dB, centred {centred:.0f} dB, {flips} other labels"
    right = right and not flips
    return Outcome(case.name, "right" if right else "wrong", "" if right else text, text)


def _short(text: str) -> str:
    line = (text.strip().splitlines() or [""])[0]
    return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 1] + "…"


def estimator_cases() -> Iterator[Case]:
    """One case for each class of `all_estimators`, two for each classifier."""
    from sklearn.utils import all_estimators

    models = _models()
    for name, kind in all_estimators():
        if name in models:
            model = models[name]
        else:
            names = kind().get_params()
            wanted = {"random_state": 0, "n_estimators": 8, "max_iter": 200, "cv": 3, "n_components": 3}
            usual = kind().get_params()
            model = kind(**{key: value for key, value in wanted.items() if key in names and _fits(name, key, usual)})
        rows, target = _ROWS.get(name, "plain"), _TARGETS.get(name) or _usual_target(model)
        yield Case(name, model, rows, target)
        if target in {"classes", "two"} and _is_classifier(model) and name != "FrozenEstimator":
            from sklearn.base import clone

            yield Case(f"{name} (text)", clone(model), rows, target, text=True)


def special_cases() -> Iterator[Case]:  # noqa: PLR0915  # a list, made of statements
    """Options that tools get wrong, pipelines, and models of models."""
    from sklearn import (
        calibration,
        cluster,
        compose,
        decomposition,
        dummy,
        ensemble,
        feature_selection,
        gaussian_process,
        impute,
        isotonic,
        kernel_approximation,
        kernel_ridge,
        linear_model,
        model_selection,
        multiclass,
        multioutput,
        naive_bayes,
        neighbors,
        pipeline,
        preprocessing,
        semi_supervised,
        svm,
        tree,
    )
    from sklearn.gaussian_process import kernels

    logistic, ridge = linear_model.LogisticRegression(solver="newton-cholesky"), linear_model.Ridge()
    scaler, line = preprocessing.StandardScaler(), pipeline.make_pipeline
    forest = ensemble.RandomForestClassifier(8, random_state=0)
    boosting, histogram = ensemble.GradientBoostingClassifier, ensemble.HistGradientBoostingClassifier
    histograms = ensemble.HistGradientBoostingRegressor
    splines, quantiles = preprocessing.SplineTransformer, preprocessing.QuantileTransformer
    calibrated, voting = calibration.CalibratedClassifierCV, ensemble.VotingClassifier
    three = [("a", logistic), ("b", tree.DecisionTreeClassifier(random_state=0)), ("c", naive_bayes.GaussianNB())]
    several = [("a", ridge), ("b", tree.DecisionTreeRegressor(random_state=0))]
    process = gaussian_process.GaussianProcessClassifier

    def case(special: str, model: Any, target: str = "none", rows: str = "plain", *, text: bool = False) -> Case:
        return Case(f"{type(model).__name__} ({special})", model, rows, target, text)

    for text in (False, True):
        words = ", text" if text else ""
        yield case(f"isotonic{words}", calibrated(logistic, method="isotonic", cv=3), "classes", text=text)
        yield case(f"isotonic, two classes{words}", calibrated(logistic, method="isotonic", cv=3), "two", text=text)
        yield case(f"of SVC{words}", calibrated(svm.SVC(), cv=3), "classes", text=text)
        yield case(f"of LinearSVC{words}", calibrated(svm.LinearSVC(random_state=0), cv=3), "classes", text=text)
        yield case(f"of a forest{words}", calibrated(forest, cv=3), "classes", text=text)
        yield case(f"temperature{words}", calibrated(logistic, method="temperature", cv=3), "classes", text=text)
        yield case(f"hard{words}", voting(three), "classes", text=text)
        yield case(f"weights{words}", voting(three, voting="soft", weights=[1, 2, 1]), "classes", text=text)
        yield case(f"two classes{words}", voting(three, voting="soft"), "two", text=text)
        yield case(
            f"of pipelines{words}",
            voting([("a", line(scaler, logistic)), ("b", forest)], voting="soft"),
            "classes",
            text=text,
        )
        yield case(
            f"passthrough{words}",
            ensemble.StackingClassifier(three, logistic, cv=3, passthrough=True),
            "classes",
            text=text,
        )
        yield case(f"two classes{words}", ensemble.StackingClassifier(three, logistic, cv=3), "two", text=text)
        yield case(
            f"of pipelines{words}",
            ensemble.StackingClassifier([("a", line(scaler, svm.SVC())), ("b", forest)], logistic, cv=3),
            "classes",
            text=text,
        )
        yield case(f"break_ties{words}", svm.SVC(break_ties=True, decision_function_shape="ovr"), "classes", text=text)
        yield case(f"one against one{words}", svm.SVC(decision_function_shape="ovo"), "classes", text=text)
        yield case(f"two classes{words}", svm.SVC(), "two", text=text)
        yield case(f"linear{words}", svm.SVC(kernel="linear"), "classes", text=text)
        yield case(f"poly{words}", svm.SVC(kernel="poly"), "classes", text=text)
        yield case(f"sigmoid{words}", svm.SVC(kernel="sigmoid"), "classes", text=text)
        yield case(f"two classes{words}", multiclass.OneVsOneClassifier(logistic), "two", text=text)
        yield case(
            f"of trees{words}",
            multiclass.OneVsOneClassifier(tree.DecisionTreeClassifier(max_depth=3)),
            "classes",
            text=text,
        )
        yield case(f"of SVC{words}", multiclass.OneVsRestClassifier(svm.SVC()), "classes", text=text)
        yield case(f"of pipelines{words}", multiclass.OneVsRestClassifier(line(scaler, logistic)), "classes", text=text)
        yield case(
            f"of trees{words}",
            multiclass.OutputCodeClassifier(tree.DecisionTreeClassifier(max_depth=3), code_size=3, random_state=0),
            "classes",
            text=text,
        )
        yield case(f"two classes{words}", process(1.0 * kernels.RBF(3.0), optimizer=None), "two", text=text)
        yield case(f"Matern{words}", process(kernels.Matern(3.0, nu=1.5), optimizer=None), "classes", text=text)
        yield case(f"two classes{words}", boosting(n_estimators=8, random_state=0), "two", text=text)
        yield case(
            f"exponential{words}", boosting(loss="exponential", n_estimators=8, random_state=0), "two", text=text
        )
        yield case(f"two classes{words}", histogram(max_iter=8), "two", text=text)
        yield case(f"categories{words}", histogram(max_iter=8, categorical_features=[2]), "classes", text=text)
        yield case(
            f"distance{words}",
            neighbors.RadiusNeighborsClassifier(8.0, weights="distance", outlier_label="most_frequent"),
            "classes",
            text=text,
        )
        yield case(f"knn{words}", semi_supervised.LabelPropagation(kernel="knn"), "classes", text=text)
        yield case(f"knn{words}", semi_supervised.LabelSpreading(kernel="knn"), "classes", text=text)
        yield case(
            f"search{words}",
            model_selection.GridSearchCV(line(scaler, svm.SVC()), {"svc__C": [0.5, 1.0]}, cv=3),
            "classes",
            text=text,
        )
        yield case(f"scaler, PCA, forest{words}", line(scaler, decomposition.PCA(3), forest), "classes", text=text)
        yield case(
            f"columns{words}",
            line(
                compose.ColumnTransformer(
                    [
                        ("a", line(scaler, decomposition.PCA(2)), slice(0, 3)),
                        ("b", preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore"), [2]),
                    ],
                    remainder="passthrough",
                ),
                logistic,
            ),
            "classes",
            text=text,
        )
        yield case(
            f"kernel features{words}",
            line(scaler, kernel_approximation.Nystroem(n_components=20, random_state=0), logistic),
            "classes",
            text=text,
        )
        yield case(f"splines{words}", line(splines(), logistic), "classes", text=text)
        yield case(
            f"RFE, logistic{words}",
            line(scaler, feature_selection.RFE(logistic, n_features_to_select=3), logistic),
            "classes",
            text=text,
        )
        yield case(
            f"RFE last{words}",
            line(scaler, feature_selection.RFE(logistic, n_features_to_select=3)),
            "classes",
            text=text,
        )
        yield case(f"gaps, boosting{words}", line(impute.SimpleImputer(), histogram(max_iter=8)), "classes", text=text)
        yield case(
            f"KNN gaps, neighbours{words}",
            line(impute.KNNImputer(), neighbors.KNeighborsClassifier()),
            "classes",
            text=text,
        )
        yield case(f"most frequent{words}", dummy.DummyClassifier(strategy="most_frequent"), "classes", text=text)
        yield case(f"at random{words}", dummy.DummyClassifier(strategy="stratified"), "classes", text=text)
        yield case(f"empirical{words}", neighbors.NearestCentroid(priors="empirical"), "classes", text=text)
        yield case(f"manhattan{words}", neighbors.NearestCentroid(metric="manhattan"), "classes", text=text)
    for model, target in (
        (svm.LinearSVC(random_state=0), "classes"),
        (dummy.DummyClassifier(), "classes"),
        (neighbors.NearestCentroid(), "classes"),
        (semi_supervised.LabelSpreading(), "classes"),
        (preprocessing.Normalizer(), "none"),
        (compose.ColumnTransformer([("a", scaler, [2, 0]), ("b", "passthrough", [1, 5])]), "none"),
    ):
        yield case(f"scaler, {type(model).__name__}", line(scaler, model), target)
    for model in (svm.LinearSVC(random_state=0), linear_model.RidgeClassifier()):
        yield case(type(model).__name__, multiclass.OneVsRestClassifier(model), "classes")
        yield case(f"{type(model).__name__}, two", multiclass.OneVsRestClassifier(model), "two", text=True)
        yield case(type(model).__name__, multiclass.OneVsOneClassifier(model), "classes")
    yield case("all columns, turned", compose.ColumnTransformer([("a", scaler, [5, 4, 3, 2, 1, 0])]))
    for loss in ("poisson", "gamma"):
        yield case(loss, histograms(loss=loss, max_iter=8), "positive")
    yield case("quantile", histograms(loss="quantile", quantile=0.7, max_iter=8), "values")
    yield case("categories", histograms(max_iter=8, categorical_features=[2]), "values")
    for kernel in ("linear", "poly", "rbf", "cosine", "sigmoid"):
        yield case(kernel, decomposition.KernelPCA(3, kernel=kernel, gamma=0.01))
    yield case("scaled", line(scaler, decomposition.KernelPCA(3, kernel="rbf")))
    yield case("normal", quantiles(n_quantiles=50, output_distribution="normal", random_state=0))
    yield case("all rows", quantiles(n_quantiles=160, random_state=0))
    for extrapolation in ("continue", "linear", "periodic"):
        yield case(extrapolation, splines(extrapolation=extrapolation))
    yield case("quantiles, no bias", splines(knots="quantile", include_bias=False, degree=2))
    yield case("outside is NaN", isotonic.IsotonicRegression(), "values", "one")
    yield case("clip", isotonic.IsotonicRegression(out_of_bounds="clip"), "values", "one")
    yield case("indicator", impute.SimpleImputer(add_indicator=True), rows="gaps")
    yield case("indicator", impute.KNNImputer(add_indicator=True), rows="gaps")
    yield case("gaps in training", impute.MissingIndicator(), rows="gaps")
    yield case("gaps in training", impute.KNNImputer(), rows="gaps")
    for kernel in ("rbf", "laplacian", "poly", "cosine", "chi2"):
        rows = "positive" if kernel == "chi2" else "plain"
        yield case(kernel, kernel_ridge.KernelRidge(kernel=kernel, gamma=0.01), "values", rows)
        yield case(
            f"{kernel}, from float64",
            kernel_ridge.KernelRidge(kernel=kernel, gamma=0.01),
            "values",
            "positive, double" if kernel == "chi2" else "double",
        )
        yield case(kernel, kernel_approximation.Nystroem(kernel, n_components=20, random_state=0), rows=rows)
    yield case(
        "degree 3", kernel_approximation.PolynomialCountSketch(degree=3, coef0=1, n_components=16, random_state=0)
    )
    yield case("three steps", kernel_approximation.AdditiveChi2Sampler(sample_steps=3), rows="positive")
    yield case("logarithm", compose.TransformedTargetRegressor(ridge, func=np.log1p, inverse_func=np.expm1), "positive")
    yield case(
        "scaled", compose.TransformedTargetRegressor(ridge, transformer=preprocessing.StandardScaler()), "values"
    )
    yield case("passthrough", ensemble.StackingRegressor(several, ridge, cv=3, passthrough=True), "values")
    yield case(
        "of a forest", multioutput.MultiOutputRegressor(ensemble.RandomForestRegressor(4, random_state=0)), "several"
    )
    yield case("of boosting", multioutput.MultiOutputRegressor(histograms(max_iter=8)), "several")
    yield case("of kernels", multioutput.MultiOutputRegressor(svm.SVR()), "several")
    yield case("order", multioutput.RegressorChain(ridge, order=[2, 0, 1]), "several")
    yield case("several", tree.DecisionTreeRegressor(random_state=0), "several")
    yield case("several", ensemble.RandomForestRegressor(4, random_state=0), "several")
    yield case("several", neighbors.KNeighborsRegressor(), "several")
    yield case("several", neighbors.RadiusNeighborsRegressor(60.0, weights="distance"), "several")
    yield case("several", kernel_ridge.KernelRidge(kernel="rbf", gamma=0.01), "several")
    yield case("median", dummy.DummyRegressor(strategy="median"), "values")
    yield case("no whitening", decomposition.FastICA(3, whiten=False, random_state=0))
    yield case("ward", cluster.FeatureAgglomeration(3, pooling_func=np.max))
    yield case("scaler, k-means", line(scaler, cluster.KMeans(4, n_init=1, random_state=0)))
    yield case("scaler, bisecting", line(scaler, cluster.BisectingKMeans(4, random_state=0)))
    yield case("scaler, mean shift", line(scaler, cluster.MeanShift()))
    yield case("numbers", preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore"))
    yield case(
        "drop", preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore", drop="first"), rows="counts"
    )
    yield case("numbers", preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1))
    yield case("numbers", preprocessing.TargetEncoder(random_state=0), "values")
    yield case("several classes", preprocessing.TargetEncoder(random_state=0), "classes", "counts")
    yield case(
        "several transformers",
        pipeline.FeatureUnion(
            [("a", splines()), ("b", kernel_approximation.RBFSampler(n_components=5, random_state=0))]
        ),
    )
    yield case(
        "own routes",
        compose.ColumnTransformer(
            [("a", splines(), [0, 3]), ("b", impute.MissingIndicator(features="all"), [1]), ("c", "drop", [4])]
        ),
    )
    yield case(
        "Matern", gaussian_process.GaussianProcessRegressor(kernels.Matern(3.0) + kernels.WhiteKernel()), "values"
    )


def _fits(name: str, key: str, usual: dict[str, Any]) -> bool:
    if key == "max_iter":
        return usual[key] is not None and usual[key] > 200 and name not in {"LinearSVC", "LinearSVR"}
    if key == "n_components":
        return name != "LinearDiscriminantAnalysis" and not name.endswith("Projection")
    return True


def _is_classifier(model: Any) -> bool:
    from sklearn.base import is_classifier

    return bool(is_classifier(model))


def _usual_target(model: Any) -> str:
    from sklearn.base import is_classifier, is_regressor
    from sklearn.utils import get_tags

    if is_classifier(model):
        return "classes"
    return "values" if is_regressor(model) or get_tags(model).target_tags.required else "none"


# What the usual table does not fit.
_ROWS = {
    **dict.fromkeys(("ComplementNB", "MultinomialNB", "AdditiveChi2Sampler", "NMF", "MiniBatchNMF"), "positive"),
    **dict.fromkeys(("LatentDirichletAllocation", "TfidfTransformer", "SkewedChi2Sampler"), "positive"),
    **dict.fromkeys(("CategoricalNB", "OneHotEncoder", "OrdinalEncoder", "TargetEncoder"), "counts"),
    **dict.fromkeys(("CountVectorizer", "HashingVectorizer", "TfidfVectorizer"), "words"),
    **dict.fromkeys(("LabelBinarizer", "LabelEncoder"), "names"),
    "DictVectorizer": "fields",
    "IsotonicRegression": "one",
    "KernelCenterer": "square",
    "KernelRidge": "double",
}
_TARGETS = {
    **dict.fromkeys(("GammaRegressor", "PoissonRegressor", "TweedieRegressor"), "positive"),
    **dict.fromkeys(("MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"), "several"),
    **dict.fromkeys(("CCA", "PLSCanonical", "PLSSVD", "RegressorChain", "MultiOutputRegressor"), "several"),
    **dict.fromkeys(("ClassifierChain", "MultiOutputClassifier"), "labels"),
    "FrozenEstimator": "classes",
    **dict.fromkeys(("FixedThresholdClassifier", "TunedThresholdClassifierCV"), "two"),
    **dict.fromkeys(("GenericUnivariateSelect", "SelectFdr", "SelectFpr", "SelectFwe", "SelectKBest"), "classes"),
    **dict.fromkeys(("SelectPercentile", "RFE", "RFECV", "SelectFromModel", "SequentialFeatureSelector"), "classes"),
    **dict.fromkeys(("NeighborhoodComponentsAnalysis", "GridSearchCV", "RandomizedSearchCV", "Pipeline"), "classes"),
}


def _models() -> dict[str, Any]:
    """The models whose class needs arguments, or whose usual ones do not suit a small table."""
    from sklearn import (
        calibration,
        cluster,
        compose,
        covariance,
        decomposition,
        ensemble,
        feature_selection,
        frozen,
        kernel_approximation,
        linear_model,
        manifold,
        model_selection,
        multiclass,
        multioutput,
        naive_bayes,
        neighbors,
        neural_network,
        pipeline,
        preprocessing,
        random_projection,
        semi_supervised,
        svm,
        tree,
    )
    from sklearn.base import clone

    logistic = linear_model.LogisticRegression(solver="newton-cholesky")
    ridge = linear_model.Ridge()
    shallow = tree.DecisionTreeClassifier(max_depth=3, random_state=0)
    shallow_values = tree.DecisionTreeRegressor(max_depth=3, random_state=0)
    scaler = preprocessing.StandardScaler()
    classifiers = [("a", logistic), ("b", shallow), ("c", naive_bayes.GaussianNB())]
    regressors = [("a", ridge), ("b", shallow_values)]
    return {
        "Nystroem": kernel_approximation.Nystroem(n_components=20, random_state=0),
        "ClassifierChain": multioutput.ClassifierChain(logistic),
        "ColumnTransformer": compose.ColumnTransformer(
            [("a", scaler, [0, 1]), ("b", preprocessing.MinMaxScaler(), slice(2, 4)), ("c", "passthrough", [4])]
        ),
        "CategoricalNB": naive_bayes.CategoricalNB(min_categories=10),
        "DBSCAN": cluster.DBSCAN(),
        "EllipticEnvelope": covariance.EllipticEnvelope(random_state=0),
        "FeatureUnion": pipeline.FeatureUnion([("a", scaler), ("b", decomposition.PCA(2))]),
        "FixedThresholdClassifier": model_selection.FixedThresholdClassifier(logistic, threshold=0.3),
        "FrozenEstimator": frozen.FrozenEstimator(clone(logistic).fit(rows_of("plain").x, rows_of("plain").classes)),
        "TSNE": manifold.TSNE(max_iter=250),
        "GaussianRandomProjection": random_projection.GaussianRandomProjection(3, random_state=0),
        "GridSearchCV": model_selection.GridSearchCV(logistic, {"C": [0.1, 1.0]}, cv=3),
        "KBinsDiscretizer": preprocessing.KBinsDiscretizer(
            encode="onehot-dense", quantile_method="averaged_inverted_cdf"
        ),
        "HistGradientBoostingClassifier": ensemble.HistGradientBoostingClassifier(max_iter=10, random_state=0),
        "HistGradientBoostingRegressor": ensemble.HistGradientBoostingRegressor(max_iter=10, random_state=0),
        "LogisticRegressionCV": linear_model.LogisticRegressionCV(Cs=3, cv=3),
        "KernelPCA": decomposition.KernelPCA(3, kernel="rbf", gamma=0.05),
        "LinearSVC": svm.LinearSVC(random_state=0, max_iter=20000),
        "MLPClassifier": neural_network.MLPClassifier((16,), max_iter=100, random_state=0),
        "MLPRegressor": neural_network.MLPRegressor(hidden_layer_sizes=(16,), max_iter=100, random_state=0),
        "MultiOutputClassifier": multioutput.MultiOutputClassifier(logistic),
        "MultiOutputRegressor": multioutput.MultiOutputRegressor(ridge),
        "OneHotEncoder": preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
        "OneVsOneClassifier": multiclass.OneVsOneClassifier(logistic),
        "OneVsRestClassifier": multiclass.OneVsRestClassifier(logistic),
        "OrdinalEncoder": preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        "OutputCodeClassifier": multiclass.OutputCodeClassifier(logistic, random_state=0),
        "Pipeline": pipeline.Pipeline([("a", scaler), ("b", logistic)]),
        "QuantileTransformer": preprocessing.QuantileTransformer(n_quantiles=50, random_state=0),
        "RANSACRegressor": linear_model.RANSACRegressor(ridge, min_samples=20, random_state=0),
        "RFE": feature_selection.RFE(logistic, n_features_to_select=3),
        "RFECV": feature_selection.RFECV(logistic, cv=3),
        "RadiusNeighborsClassifier": neighbors.RadiusNeighborsClassifier(6.0, outlier_label="most_frequent"),
        "RadiusNeighborsRegressor": neighbors.RadiusNeighborsRegressor(60.0),
        "RandomTreesEmbedding": ensemble.RandomTreesEmbedding(4, sparse_output=False, random_state=0),
        "RandomizedSearchCV": model_selection.RandomizedSearchCV(logistic, {"C": [0.1, 1.0]}, n_iter=2, cv=3),
        "RegressorChain": multioutput.RegressorChain(ridge),
        "SelectFromModel": feature_selection.SelectFromModel(logistic),
        "SequentialFeatureSelector": feature_selection.SequentialFeatureSelector(
            logistic, cv=3, n_features_to_select=2
        ),
        "SelectKBest": feature_selection.SelectKBest(k=3),
        "SparseCoder": decomposition.SparseCoder(np.eye(6)[:3]),
        "SparseRandomProjection": random_projection.SparseRandomProjection(3, dense_output=True, random_state=0),
        "StackingClassifier": ensemble.StackingClassifier(classifiers, logistic, cv=3),
        "StackingRegressor": ensemble.StackingRegressor(regressors, ridge, cv=3),
        "SelfTrainingClassifier": semi_supervised.SelfTrainingClassifier(logistic),
        "TunedThresholdClassifierCV": model_selection.TunedThresholdClassifierCV(logistic, cv=3),
        "VotingClassifier": ensemble.VotingClassifier(classifiers, voting="soft"),
        "VotingRegressor": ensemble.VotingRegressor(regressors),
        "CalibratedClassifierCV": calibration.CalibratedClassifierCV(logistic, cv=3),
        "AdaBoostClassifier": ensemble.AdaBoostClassifier(shallow, n_estimators=8, random_state=0),
        "AdaBoostRegressor": ensemble.AdaBoostRegressor(shallow_values, n_estimators=8, random_state=0),
    }


def run(only: set[str] | None = None) -> Iterator[tuple[Outcome, float]]:
    """Outcomes and seconds, in the order of the cases."""
    from threadpoolctl import threadpool_limits

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # short trainings, small tables, deprecated classes
        for case in (*estimator_cases(), *special_cases()):
            if only is None or case.name.partition(" ")[0] in only:
                begin = time.perf_counter()
                yield outcome_of(case, Path(folder)), time.perf_counter() - begin


def expected() -> dict[str, Outcome]:
    """The checked-in outcomes by the case's name."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {row["case"]: Outcome(row["case"], row["outcome"], row["reason"]) for row in csv.DictReader(file)}


def main() -> None:
    """Runs the sweep and prints what came of it."""
    parser = argparse.ArgumentParser(description="every estimator of scikit-learn as onnx-fp32")
    parser.add_argument("--write", action="store_true", help="write the outcomes down as the expected ones")
    parser.add_argument("--only", help="classes, by name, with commas between")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    outcomes = []
    for outcome, seconds in run(set(arguments.only.split(",")) if arguments.only else None):
        outcomes.append(outcome)
        print(
            f"{outcome.outcome:10} {outcome.name:34} {seconds:5.2f} s  {outcome.reason or outcome.figures}", flush=True
        )
    print(dict(Counter(outcome.outcome for outcome in outcomes)), f"{time.perf_counter() - begin:.0f} s")
    if arguments.write:
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["case", "outcome", "reason"])
            writer.writerows([outcome.name, outcome.outcome, outcome.reason] for outcome in outcomes)


if __name__ == "__main__":
    main()
