"""Trees, support vector machines and naive Bayes rebuilt for TFLite, against scikit-learn, run by sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline, make_union
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
from sklearn.svm import SVC, SVR, NuSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from edgeml.converters import sklearn_to_tflite
from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob
from edgeml.core.encoding import Binning, Scaling
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import find_recipe
from edgeml.runtimes.litert import LiteRTSession
from edgeml.sources.sklearn import open_source, save
from tests.support.tables import CLASSIFICATION, table

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*ill-conditioned"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
    pytest.mark.filterwarnings("ignore:Bins whose width are too small"),
    pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated"),  # the calibrator's own
]


def scaled(model: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), model)


def converted(
    model: Any, recipe_id: str, folder: Path, calibration: np.ndarray | None = None, *, trust: bool = False
) -> Artifact:
    save(model, folder / "model.skops")
    job = ConversionJob(folder, None, None if calibration is None else {"features": calibration})
    source: Any = open_source(folder / "model.skops", trust=trust)
    return sklearn_to_tflite.convert(source, find_recipe(recipe_id), job)


def opened(model: Any, artifact: Artifact, folder: Path) -> LiteRTSession:
    save(model, folder / "model.skops")
    decision = open_source(folder / "model.skops").info.decision
    return LiteRTSession(artifact.data, artifact.signature, needs=artifact.needs, decision=decision)


def scores_of(model: Any, rows: np.ndarray) -> np.ndarray:
    names = ("predict_proba", "decision_function", "predict")
    return np.asarray(next(getattr(model, name) for name in names if hasattr(model, name))(rows))


def assert_exact(model: Any, folder: Path, rows: np.ndarray) -> None:
    session = opened(model, converted(model, "tflite-fp32", folder), folder)
    wanted, found = scores_of(model, rows), session.predict(rows)
    assert isinstance(found, np.ndarray)
    assert found.shape == wanted.shape
    assert np.square(found - wanted).sum() <= 1e-9 * np.square(wanted).sum()
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(session.classify(rows), model.predict(rows))


CLASSIFIERS: dict[str, Any] = {
    "forest": RandomForestClassifier(20, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=20, random_state=0),
    "scaled forest": scaled(RandomForestClassifier(10, random_state=0)),
    "svc": SVC(),
    "scaled svc": scaled(SVC(decision_function_shape="ovo")),
    "gaussian": GaussianNB(),
}
SMALL: dict[str, Any] = {
    "tree": DecisionTreeClassifier(random_state=0),
    "extra trees": ExtraTreesClassifier(5, max_depth=4, random_state=0),
    "ada": AdaBoostClassifier(n_estimators=5, random_state=0),
    "bagging": BaggingClassifier(n_estimators=5, max_features=0.5, random_state=0),
    "linear svc": SVC(kernel="linear"),
    "poly": scaled(SVC(kernel="poly", coef0=0.5)),
    "sigmoid": scaled(SVC(kernel="sigmoid", break_ties=True)),
    "nu svc": scaled(NuSVC(nu=0.1)),
    "bernoulli": BernoulliNB(binarize=2.0),
    "multinomial": MultinomialNB(),
    "complement": ComplementNB(),
    "against the rest": scaled(SGDClassifier(loss="log_loss", random_state=0)),
    "columns": make_pipeline(
        make_column_transformer((StandardScaler(), [0, 3]), (MinMaxScaler(), [5]), remainder="passthrough"),
        LogisticRegression(max_iter=200),
    ),
    "columns of a forest": make_pipeline(
        make_column_transformer((StandardScaler(), [3, 0]), (MinMaxScaler(), [5])),
        RandomForestClassifier(5, random_state=0),
    ),
    "union": make_pipeline(make_union(StandardScaler(), PCA(3)), LogisticRegression(max_iter=200)),
    "chosen": make_pipeline(SelectKBest(k=4), RandomForestClassifier(5, random_state=0)),
    "products": make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=200)),
    "bins": make_pipeline(KBinsDiscretizer(5, encode="onehot-dense"), LogisticRegression(max_iter=200)),
    "lengths": make_pipeline(Normalizer(), LogisticRegression(max_iter=200)),
    "voting": VotingClassifier(
        [("a", GaussianNB()), ("b", RandomForestClassifier(5, random_state=0))], voting="soft", weights=[1, 2]
    ),
    "histograms": HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "imputed": make_pipeline(SimpleImputer(), RobustScaler(), RandomForestClassifier(5, random_state=0)),
}
REGRESSORS: dict[str, Any] = {
    "tree": DecisionTreeRegressor(random_state=0),
    "forest": RandomForestRegressor(10, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=20, random_state=0),
    "poisson": HistGradientBoostingRegressor(loss="poisson", max_iter=20, random_state=0),
    "svr": scaled(SVR(C=100)),
}


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_no_label_flips_in_float32(kind: str, name: str, tmp_path: Path) -> None:
    data = table(name)
    assert_exact(CLASSIFIERS[kind].fit(data.x, data.text()), tmp_path, data.held_out)


@pytest.mark.parametrize("kind", SMALL)
def test_no_label_flips_on_wine(kind: str, tmp_path: Path) -> None:
    data = table("wine")
    assert_exact(SMALL[kind].fit(data.x, data.y), tmp_path, data.held_out)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_regressors_in_float32(kind: str, tmp_path: Path) -> None:
    data = table("diabetes")
    assert_exact(REGRESSORS[kind].fit(data.x, data.y), tmp_path, data.held_out)


@pytest.mark.parametrize("scaler", [None, StandardScaler(), MinMaxScaler((-1, 3), clip=True)], ids=str)
@pytest.mark.parametrize(
    ("model", "recipe_id"),
    [
        (DecisionTreeRegressor(random_state=0), "tflite-fp32"),
        (HistGradientBoostingRegressor(max_iter=3), "tflite-fp32"),
        (GradientBoostingRegressor(n_estimators=3), "tflite-int8"),
    ],
    ids=["tree", "histograms", "boosting in int8"],
)
def test_thresholds_part_neighbouring_floats_as_the_source_does(
    scaler: Any, model: Any, recipe_id: str, tmp_path: Path
) -> None:
    low = np.arange(-12, 12, dtype=np.float32) / 3 + np.float32(0.1)  # far from the denormals that LiteRT negates to 0
    rows = np.stack([low, np.nextafter(low, np.float32(np.inf))], axis=1).reshape(-1, 1).repeat(20, axis=0)
    pipeline = make_pipeline(*([scaler] if scaler else []), model).fit(rows, np.tile([0.0, 1.0], 24).repeat(20))
    artifact = converted(pipeline, recipe_id, tmp_path, rows[::20])
    session = opened(pipeline, artifact, tmp_path)
    # Two neighbours on either side of each row, which scaling in float32 may make one.
    near = np.unique(rows)
    for _ in range(2):
        near = np.unique(np.concatenate([near, *(np.nextafter(near, np.float32(end)) for end in (-np.inf, np.inf))]))
    wanted = pipeline.predict(near[:, None])
    step = artifact.signature.outputs[0].quantization
    atol = 1e-6 if step is None else step.scale
    found = session.predict(near[:, None])
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, wanted, atol=atol)


@pytest.mark.parametrize(
    "step", [PowerTransformer(), QuantileTransformer(n_quantiles=50), KBinsDiscretizer(7, encode="ordinal")], ids=str
)
def test_what_rises_before_trees_goes_into_their_thresholds(step: Any, tmp_path: Path) -> None:
    data = table("wine")
    model = make_pipeline(step, RandomForestClassifier(10, random_state=0)).fit(data.x, data.y)
    assert_exact(model, tmp_path, data.held_out)


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
        RandomForestClassifier(5, random_state=0),
        make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), RandomForestClassifier(5, random_state=0)),
    ],
    ids=["learned", "forest", "imputed"],
)
def test_gaps_go_the_way_that_the_source_sends_them(model: Any, tmp_path: Path) -> None:
    data, random = table("wine"), np.random.default_rng(0)
    x, rows = data.x.copy(), data.held_out.copy()
    for values in (x, rows):
        values[random.random(values.shape) < 0.2] = np.nan
    artifact = converted(model.fit(x, data.y), "tflite-fp32", tmp_path)
    session = opened(model, artifact, tmp_path)
    found = np.concatenate([session._handle(1, 1)([row[None]])[0] for row in rows])  # sessions take no gaps themselves
    np.testing.assert_allclose(found, model.predict_proba(rows), atol=1e-6)


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("kind", ["forest", "boosting", "scaled forest"])
def test_binned_trees_in_int8(kind: str, name: str, tmp_path: Path) -> None:
    data = table(name)
    model = CLASSIFIERS[kind].fit(data.x, data.y)
    artifact = converted(model, "tflite-int8", tmp_path, data.x[:100])
    (features,) = artifact.signature.inputs
    assert features.dtype == "int8"
    assert features.quantization is not None
    assert (features.quantization.scale, features.quantization.zero_point) == (1 / 256, -128)
    assert isinstance(features.encoding, Binning)
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(artifact.needs.operators)
    session = opened(model, artifact, tmp_path)
    flips = session.classify(data.held_out) != model.predict(data.held_out)
    # The log-odds of boosting are a sum in 8 bits, and nearer ones than its step change places.
    assert flips.mean() <= (0.01 if kind == "boosting" else 0.0)
    # What calibration never saw must not move a threshold.
    far = np.concatenate([data.held_out * 3, -data.held_out])
    found = session.predict(far)
    assert isinstance(found, np.ndarray)
    step = artifact.signature.outputs[0].quantization
    assert step is not None
    assert np.abs(found - model.predict_proba(far)).max() < (2 if "boosting" not in kind else 24) * step.scale


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
@pytest.mark.parametrize(
    "model",
    [LogisticRegression(max_iter=200), scaled(LogisticRegression()), scaled(SVC())],
    ids=str,
)
def test_unscaled_tables_in_int8(model: Any, name: str, tmp_path: Path) -> None:
    data = table(name)
    model.fit(data.x, data.y)
    artifact = converted(model, "tflite-int8", tmp_path, data.x[:100])
    assert isinstance(artifact.signature.inputs[0].encoding, Scaling)
    flips = opened(model, artifact, tmp_path).classify(data.held_out) != model.predict(data.held_out)
    assert flips.mean() <= 0.05


def test_labels_that_do_not_follow_from_scores_come_by_position(tmp_path: Path) -> None:
    data = table("digits")
    model = SVC(decision_function_shape="ovo").fit(data.x, data.text())
    artifact = converted(model, "tflite-fp32", tmp_path)
    assert [(spec.name, spec.dtype, spec.meaning) for spec in artifact.signature.outputs] == [
        ("scores", "float32", "scores"),
        ("position", "int32", "position"),
    ]
    session = opened(model, artifact, tmp_path)
    found = session.predict(data.held_out)
    assert isinstance(found, np.ndarray)
    assert found.shape == (len(data.held_out), 45)
    assert session.classify(data.held_out[:3]).tolist() == model.predict(data.held_out[:3]).tolist()


@pytest.mark.parametrize(
    ("model", "recipe_id", "reason"),
    [
        (RandomForestClassifier(2), "tflite-fp16", "in float16 they would send rows down other branches"),
        (RandomForestClassifier(2), "tflite-dynamic", "no matrix products"),
        (RandomForestClassifier(2), "tflite-int16x8", "no 16-bit form"),
        (SVC(), "tflite-int16x8", "no 16-bit form of the operator .*GREATER"),
        (SVC(probability=True), "tflite-fp32", "couples probabilities of pairs"),
        (GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()), "tflite-fp32", "begins with a model"),
        (BaggingClassifier(GaussianNB(), 2), "tflite-fp32", "of other models than trees"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:The `probability` parameter was deprecated:FutureWarning")
def test_what_is_not_honest_is_refused(model: Any, recipe_id: str, reason: str, tmp_path: Path) -> None:
    data = table("wine")
    with pytest.raises(UnsupportedModelError, match=reason):
        converted(model.fit(data.x, data.y), recipe_id, tmp_path, data.x[:20])


def test_more_thresholds_than_int8_has_steps_are_refused(tmp_path: Path) -> None:
    data = table("diabetes")
    with pytest.raises(
        UnsupportedModelError, match=r"compare a feature with \d+ thresholds, and 8 bits tell 255 apart"
    ):
        converted(RandomForestRegressor(20).fit(data.x, data.y), "tflite-int8", tmp_path, data.x[:20])


def test_a_categorical_split_is_refused(tmp_path: Path) -> None:
    data = table("wine")
    rows = np.concatenate([data.x[:, :3], np.arange(len(data.x), dtype=np.float32)[:, None] % 3], axis=1)
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features=[3]).fit(rows, data.y)
    with pytest.raises(UnsupportedModelError, match="categorical features"):
        converted(model, "tflite-fp32", tmp_path, trust=True)  # skops does not trust its encoder


def test_an_encoding_is_what_the_manifest_says(tmp_path: Path) -> None:
    data = table("wine")
    artifact = converted(DecisionTreeClassifier(random_state=0).fit(data.x, data.y), "tflite-int8", tmp_path, data.x)
    text = msgspec.json.encode(artifact.signature)
    assert msgspec.json.decode(text, type=type(artifact.signature)) == artifact.signature
    assert b'"encoding":{"kind":"binning","cuts":[[' in text
