"""scikit-learn routes, against scikit-learn itself on rows held out, in the raw runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, SparseCoder, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestCentroid
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from edgeml.converters import sklearn_to_onnx, sklearn_to_tflite
from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob
from edgeml.core.encoding import Encoding, Scaling
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import RECIPES, find_recipe
from edgeml.core.tensors import TensorSpec
from edgeml.sources.sklearn import SklearnSource, open_source, save
from tests.support.tables import CLASSIFICATION, table

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),  # a few epochs are enough here,
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),  # and a few steps
    pytest.mark.filterwarnings("ignore:The `probability` parameter was deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*ill-conditioned"),
    pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated"),  # the calibrator's own
]

FLOOR_DB = {"fp32": 90.0, "fp16": 40.0, "int16x8": 25.0, "dynamic": 15.0, "int8": 15.0}
CENTRED_BELOW_DB = 5.0


def scaled(*steps: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), *steps)


CLASSIFIERS: dict[str, Any] = {
    "logistic": LogisticRegression(max_iter=200),
    "mlp": scaled(MLPClassifier((16,), max_iter=60, random_state=0)),
    "svc": SVC(),
    "svc-one-against-one": SVC(decision_function_shape="ovo"),
    "svc-probability": SVC(probability=True, random_state=0),
    "svc-calibrated": CalibratedClassifierCV(SVC(), ensemble=False),
    "forest": RandomForestClassifier(20, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "neighbors": KNeighborsClassifier(),
    "neighbors-by-distance": KNeighborsClassifier(weights="distance"),
    "scaler-pca-logistic": scaled(PCA(8), LogisticRegression(max_iter=200)),
    "scaler-pca-mlp": scaled(PCA(8), MLPClassifier((16,), max_iter=60, random_state=0)),
    "scaler-pca-svc": scaled(PCA(8), SVC()),
    "scaler-pca-forest": scaled(PCA(8), RandomForestClassifier(20, random_state=0)),
    "scaler-pca-neighbors": scaled(PCA(8), KNeighborsClassifier()),
    "min-max-forest": make_pipeline(MinMaxScaler(), RandomForestClassifier(20, random_state=0)),
}

REGRESSORS: dict[str, Any] = {
    "linear": LinearRegression(),
    "ridge": Ridge(),
    "mlp": MLPRegressor(hidden_layer_sizes=(16,), max_iter=60, random_state=0),
    "svr": SVR(),
    "forest": RandomForestRegressor(20, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=20, random_state=0),
    "neighbors": KNeighborsRegressor(),
    "neighbors-by-distance": KNeighborsRegressor(weights="distance"),
    "scaler-pca-ridge": scaled(PCA(6), Ridge()),
    "scaler-pca-mlp": scaled(PCA(6), MLPRegressor(hidden_layer_sizes=(16,), max_iter=60, random_state=0)),
    "scaler-pca-forest": scaled(PCA(6), RandomForestRegressor(20, random_state=0)),
}


def opened(model: Any, folder: Path) -> SklearnSource:
    save(model, folder / "model.skops")
    return open_source(folder / "model.skops")


def converted(
    model: Any, recipe_id: str, folder: Path, *, batch: int | None = None, calibration: np.ndarray | None = None
) -> Artifact:
    recipe = find_recipe(recipe_id)
    job = ConversionJob(folder, batch, None if calibration is None else {"features": calibration})
    route = {"onnx": sklearn_to_onnx, "tflite": sklearn_to_tflite}[recipe.format]
    return route.convert(opened(model, folder), recipe, job)


def encoded(rows: np.ndarray, encoding: Encoding) -> np.ndarray:
    if isinstance(encoding, Scaling):
        offset, scale = (np.array(values, dtype=np.float32) for values in (encoding.offset, encoding.scale))
        return np.asarray((rows - offset) / scale)
    ranks = [np.searchsorted(cuts, column, side="left") for cuts, column in zip(encoding.cuts, rows.T, strict=True)]
    return np.stack(ranks, axis=1).astype(np.float32) / np.float32(256)


def run_onnx(artifact: Artifact, rows: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert names == [spec.name for spec in artifact.signature.outputs]
    encoding = artifact.signature.inputs[0].encoding
    given = rows if encoding is None else encoded(rows, encoding)
    answers = dict(zip(names, session.run(None, {"features": given}), strict=True))
    for spec in artifact.signature.outputs:
        assert answers[spec.name].shape == (len(rows), *spec.shape[1:])
        assert answers[spec.name].dtype == (object if spec.dtype == "string" else spec.dtype)
    return answers


def run_tflite(artifact: Artifact, rows: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=artifact.data, num_threads=1)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    encoding = artifact.signature.inputs[0].encoding
    for row in rows if encoding is None else encoded(rows, encoding):
        value = row[None]
        if given["dtype"] != np.float32:
            scale, zero = given["quantization"]
            limits = np.iinfo(given["dtype"])
            value = np.clip(np.rint(value / scale) + zero, limits.min, limits.max).astype(given["dtype"])
        interpreter.set_tensor(given["index"], value)
        interpreter.invoke()
        answer = interpreter.get_tensor(made["index"])
        if made["dtype"] != np.float32:
            scale, zero = made["quantization"]
            answer = (answer.astype(np.float32) - zero) * scale
        answers.append(answer)
    return np.concatenate(answers)


def assert_faithful(answer: np.ndarray, expected: np.ndarray, precision: str = "fp32") -> None:
    expected = expected.astype(np.float64)
    noise = np.square(answer - expected).sum()
    signal = np.square(expected).sum()
    centred = np.square(expected - expected.mean(axis=0)).sum()
    assert answer.shape == expected.shape
    assert signal >= noise * 10 ** (FLOOR_DB[precision] / 10)
    assert centred >= noise * 10 ** ((FLOOR_DB[precision] - CENTRED_BELOW_DB) / 10)


def scores_of(model: Any, rows: np.ndarray) -> np.ndarray:
    with threadpool_limits(1):  # the last bits of sums depend on the number of threads, and references are of one
        return model.predict_proba(rows) if hasattr(model, "predict_proba") else model.decision_function(rows)


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers_in_float32_onnx(kind: str, name: str, tmp_path: Path) -> None:
    data = table(name)
    model = CLASSIFIERS[kind].fit(data.x, data.y)
    source = opened(model, tmp_path)
    answers = run_onnx(converted(model, "onnx-fp32", tmp_path), data.held_out)
    reference = source.reference({"features": data.held_out})
    assert source.info.decision is not None
    assert reference.labels is not None
    if "neighbors" not in kind:  # which of several neighbours at one distance counts depends on the threads
        np.testing.assert_array_equal(reference.outputs["scores"], scores_of(model, data.held_out).astype(np.float32))
    assert_faithful(answers["scores"], reference.outputs["scores"])
    assert answers["label"].dtype == np.int64
    np.testing.assert_array_equal(answers["label"], np.array(source.info.decision.labels)[reference.labels])


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("kind", ["logistic", "mlp", "svc", "svc-probability", "forest", "boosting", "neighbors"])
def test_labels_that_are_text(kind: str, name: str, tmp_path: Path) -> None:
    data = table(name)
    model = CLASSIFIERS[kind].fit(data.x, data.text())
    artifact = converted(model, "onnx-fp32", tmp_path)
    assert artifact.signature.outputs[1] == TensorSpec("label", (None,), "string", meaning="label")
    labels = opened(model, tmp_path).reference({"features": data.held_out}).labels
    np.testing.assert_array_equal(run_onnx(artifact, data.held_out)["label"], model.classes_[labels])


@pytest.mark.parametrize("kind", REGRESSORS)
def test_regressors_in_float32_onnx(kind: str, tmp_path: Path) -> None:
    data = table("diabetes")
    model = REGRESSORS[kind].fit(data.x, data.y)
    answers = run_onnx(converted(model, "onnx-fp32", tmp_path), data.held_out)
    assert_faithful(answers["values"], model.predict(data.held_out))


@pytest.mark.parametrize(
    "model",
    [
        KNeighborsClassifier(),
        scaled(KNeighborsClassifier()),
        RandomForestClassifier(20, random_state=0),
        SVC(),
        LogisticRegression(max_iter=200),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_trained_in_float64(model: Any, tmp_path: Path) -> None:
    data = table("digits")
    model.fit(data.x.astype(np.float64), data.y)
    source = opened(model, tmp_path)
    reference = source.reference({"features": data.held_out})
    answers = run_onnx(converted(model, "onnx-fp32", tmp_path), data.held_out)
    assert_faithful(answers["scores"], reference.outputs["scores"])
    np.testing.assert_array_equal(answers["label"], reference.labels)


@pytest.mark.parametrize("name", CLASSIFICATION)
@pytest.mark.parametrize("kind", ["logistic", "mlp", "scaler-pca-logistic", "scaler-pca-mlp"])
def test_classifiers_in_tflite(kind: str, name: str, tmp_path: Path) -> None:
    data = table(name)
    model = CLASSIFIERS[kind].fit(data.x, data.y)
    expected = model.predict_proba(data.held_out)
    for precision in ("fp32", "fp16"):
        answer = run_tflite(converted(model, f"tflite-{precision}", tmp_path), data.held_out)
        assert_faithful(answer, expected, precision)
        agreement = np.mean(model.classes_[answer.argmax(axis=1)] == model.predict(data.held_out))
        assert agreement == 1.0 if precision == "fp32" else agreement >= 0.99


@pytest.mark.parametrize("kind", ["linear", "ridge", "mlp", "scaler-pca-ridge", "scaler-pca-mlp"])
def test_regressors_in_tflite(kind: str, tmp_path: Path) -> None:
    data = table("diabetes")
    model = REGRESSORS[kind].fit(data.x, data.y)
    for precision in ("fp32", "fp16"):
        answer = run_tflite(converted(model, f"tflite-{precision}", tmp_path), data.held_out)
        assert_faithful(answer, model.predict(data.held_out), precision)


@pytest.mark.parametrize(
    "recipe", [recipe for recipe in RECIPES if recipe.precision not in {"fp32", "fp16"}], ids=lambda recipe: recipe.id
)
def test_digits_in_integers(recipe: Any, tmp_path: Path) -> None:
    data = table("digits")
    model = MLPClassifier((32,), max_iter=60, random_state=0).fit(data.x, data.y)
    artifact = converted(model, recipe.id, tmp_path, calibration=data.x[:200])
    answer = (
        run_tflite(artifact, data.held_out)
        if recipe.format == "tflite"
        else run_onnx(artifact, data.held_out)["scores"]
    )
    assert_faithful(answer, model.predict_proba(data.held_out), recipe.precision)
    assert np.mean(answer.argmax(axis=1) == model.predict(data.held_out)) >= recipe.floor.agreement


@pytest.mark.parametrize(
    "model",
    [
        RidgeClassifier(),
        LinearSVC(random_state=0, max_iter=20000),
        LinearDiscriminantAnalysis(),
        SGDClassifier(loss="log_loss", random_state=0),
        MLPClassifier((8, 8), activation="tanh", max_iter=60, random_state=0),
        MLPClassifier((8,), activation="logistic", max_iter=60, random_state=0),
        MLPClassifier((8,), activation="identity", max_iter=60, random_state=0),
    ],
    ids=lambda model: f"{type(model).__name__}-{getattr(model, 'activation', '')}",
)
@pytest.mark.parametrize(
    "scaler",
    [RobustScaler(), MinMaxScaler(feature_range=(-1, 2), clip=True), MaxAbsScaler()],
    ids=lambda scaler: type(scaler).__name__,
)
def test_rebuilt_graphs_of_two_classes(model: Any, scaler: Any, tmp_path: Path) -> None:
    data = table("breast_cancer")
    pipeline = make_pipeline(scaler, model).fit(data.x, data.y)
    assert_faithful(
        run_tflite(converted(pipeline, "tflite-fp32", tmp_path), data.held_out), scores_of(pipeline, data.held_out)
    )


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
def test_transformers(model: Any, tmp_path: Path) -> None:
    data = table("wine")
    expected = model.fit(data.x).transform(data.held_out)
    assert_faithful(run_tflite(converted(model, "tflite-fp32", tmp_path), data.held_out), expected)
    assert_faithful(run_onnx(converted(model, "onnx-fp32", tmp_path), data.held_out)["values"], expected)


def test_columns_far_from_zero_keep_their_digits(tmp_path: Path) -> None:
    data = table("wine")
    shift = np.float32(2000)  # as years are: folded into the bias, the mean would cost 11 bits
    model = scaled(PCA(5), LogisticRegression()).fit(data.x + shift, data.y)
    rows = data.held_out + shift
    assert_faithful(run_tflite(converted(model, "tflite-fp32", tmp_path), rows), model.predict_proba(rows))


def test_fixed_batch(tmp_path: Path) -> None:
    data = table("digits")
    model = LogisticRegression(max_iter=200).fit(data.x, data.y)
    for recipe_id in ("onnx-fp32", "onnx-fp16", "tflite-fp32"):
        artifact = converted(model, recipe_id, tmp_path, batch=4)
        assert artifact.signature.inputs[0].shape == (4, 64)
        assert {spec.shape[0] for spec in artifact.signature.outputs} == {4}
    fixed = onnxruntime.InferenceSession(converted(model, "onnx-fp32", tmp_path, batch=4).data)
    assert [value.shape for value in (*fixed.get_inputs(), *fixed.get_outputs())] == [[4, 64], [4, 10], [4]]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    data = table("wine")
    model = scaled(PCA(5), KNeighborsClassifier()).fit(data.x, data.text())
    first, again = (converted(model, "onnx-fp32", tmp_path) for _ in range(2))
    assert first == again
    assert first.lineage[0].startswith("scikit-learn ")
    assert first.lineage[1].startswith("skl2onnx ")
    assert first.needs.opset is not None
    assert first.needs.opset <= 17
    onnx.checker.check_model(onnx.load_model_from_string(first.data), full_check=True)


@pytest.mark.parametrize("labels", [2, 3])
def test_equal_votes_of_a_forest_go_to_the_first_class(labels: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(400, 4)).astype(np.float32)
    model = RandomForestClassifier(10, random_state=0).fit(rows[:300], random.integers(0, labels, 300))
    probabilities = np.sort(model.predict_proba(rows), axis=1)
    assert np.sum(probabilities[:, -1] == probabilities[:, -2]) > 5
    answers = run_onnx(converted(model, "onnx-fp32", tmp_path), rows)
    np.testing.assert_array_equal(answers["label"], model.predict(rows))


def test_numbers_as_labels_of_any_type(tmp_path: Path) -> None:
    data = table("wine")
    for labels in (data.y == 1, data.y.astype(float), data.y - 1):
        model = RandomForestClassifier(5, random_state=0).fit(data.x, labels)
        label = run_onnx(converted(model, "onnx-fp32", tmp_path), data.held_out)["label"]
        np.testing.assert_array_equal(label.astype(labels.dtype), model.predict(data.held_out))


@pytest.mark.parametrize("text", [False, True])
def test_votes(text: bool, tmp_path: Path) -> None:
    data = table("wine")
    model = VotingClassifier(
        [("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))], flatten_transform=False
    )
    model.fit(data.x, data.text() if text else data.y)
    answers = run_onnx(converted(model, "onnx-fp32", tmp_path), data.held_out)
    np.testing.assert_array_equal(answers["label"], model.predict(data.held_out))
    np.testing.assert_array_equal(model.classes_[answers["scores"].argmax(axis=1)], answers["label"])


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeRegressor(),
        GradientBoostingRegressor(n_estimators=10),
        HistGradientBoostingRegressor(max_iter=5),
    ],
    ids=lambda model: type(model).__name__,
)
def test_thresholds_between_neighbouring_floats(model: Any, tmp_path: Path) -> None:
    low = np.arange(1, 65, dtype=np.float32) / 3
    pairs = np.stack([low, np.nextafter(low, np.float32(np.inf))], axis=1)
    rows = pairs.reshape(-1, 1).repeat(20, axis=0)  # histograms want 20 rows in a leaf
    model.fit(rows, np.tile([0.0, 1.0], 64).repeat(20))
    answers = run_onnx(converted(model, "onnx-fp32", tmp_path), pairs.reshape(-1, 1))
    np.testing.assert_allclose(answers["values"], model.predict(pairs.reshape(-1, 1)), atol=1e-6)


def test_neighbours_on_training_rows_count_alone(tmp_path: Path) -> None:
    data = table("wine")
    twice, labels = np.concatenate([data.x, data.x[:20]]), np.concatenate([data.y, (data.y[:20] + 1) % 3])
    model = KNeighborsClassifier(weights="distance").fit(twice, labels)
    answers = run_onnx(converted(model, "onnx-fp32", tmp_path), data.x)
    assert_faithful(answers["scores"], model.predict_proba(data.x))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (KNeighborsClassifier(), "keeps its training rows"),
        (SVC(probability=True, random_state=0), "couples probabilities of pairs"),
        (scaled(NearestCentroid()), "not among the models that are rebuilt"),
        (SGDClassifier(loss="modified_huber", random_state=0), "cut off at 0 and 1"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_rebuilt_is_refused(model: Any, reason: str, tmp_path: Path) -> None:
    data = table("wine")
    model.fit(data.x, data.y)
    for recipe in RECIPES:
        if recipe.id != "onnx-fp32":
            with pytest.raises(UnsupportedModelError, match=reason) as caught:
                converted(model, recipe.id, tmp_path, calibration=data.x)
            assert caught.value.fix == "use onnx-fp32."


def test_what_skl2onnx_cannot_convert_is_refused(tmp_path: Path) -> None:
    data = table("wine")
    with pytest.raises(UnsupportedModelError, match="There is no route for a FunctionTransformer of 'sin'"):
        converted(FunctionTransformer(np.sin).fit(data.x), "onnx-fp32", tmp_path)
    with pytest.raises(UnsupportedModelError, match="The SparseCoder solves an optimization problem for each row"):
        converted(
            make_pipeline(SparseCoder(np.eye(13)), LogisticRegression()).fit(data.x, data.y), "onnx-fp32", tmp_path
        )
    with pytest.raises(UnsupportedModelError, match="weights its neighbours by 'distance' with the metric 'manhattan'"):
        converted(
            KNeighborsClassifier(weights="distance", metric="manhattan").fit(data.x, data.y), "onnx-fp32", tmp_path
        )
