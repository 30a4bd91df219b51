"""build(), on small Keras models."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score

import edgeml
from edgeml.core.errors import InputError, TargetError, UnsupportedModelError
from edgeml.core.recipe import RECIPES
from edgeml.core.system.worker import Worker
from edgeml.demo.digits import Digits
from edgeml.pipeline import Step

X = np.random.default_rng(0).standard_normal((60, 16)).astype(np.float32)
FLOATS = ["tflite-fp32", "onnx-fp32"]


def made(models: Worker, kind: str) -> Path:
    return models.call("make", kind, returns=Path)


def answers(models: Worker, kind: str, *inputs: np.ndarray) -> list[np.ndarray]:
    """What Keras itself gives."""
    return models.call("answers", made(models, kind), list(inputs), returns=list[np.ndarray])


def scores_of(package: edgeml.Package, recipe: str, x: object) -> np.ndarray:
    found = package.session(recipe).predict(x)
    assert isinstance(found, np.ndarray)
    return found


# The digits net, in all its recipes


def test_all_nine_recipes_of_the_net_are_released(net_package: edgeml.Package) -> None:
    assert net_package.released == tuple(recipe.id for recipe in RECIPES)
    assert net_package.manifest.refused == ()
    assert net_package.failures == ()


def test_figures_are_those_of_the_raw_answers(
    net_package: edgeml.Package, keras_models: Worker, net_file: Path, digits: Digits
) -> None:
    """Every figure of every artifact, found again from its predictions without edgeml's evaluation."""
    (wanted,) = keras_models.call("answers", net_file, [digits.evaluation], returns=list[np.ndarray])
    y = digits.evaluation_labels
    right = wanted.argmax(axis=1) == y
    for record in net_package.manifest.artifacts:
        found = scores_of(net_package, record.recipe, digits.evaluation)
        evaluation = record.evaluation
        noise = ((found.astype(np.float64) - wanted) ** 2).sum()
        sqnr = 10 * np.log10((wanted.astype(np.float64) ** 2).sum() / noise)
        # The reference is taken in batches of 32, `wanted` in one: their last bits differ.
        assert evaluation.fidelity.sqnr_db == pytest.approx(sqnr, abs=3 if sqnr > 120 else 0.01)
        assert evaluation.fidelity.agreement == (found.argmax(axis=1) == wanted.argmax(axis=1)).mean()
        assert evaluation.metrics is not None
        assert evaluation.metrics.accuracy == (found.argmax(axis=1) == y).mean()
        assert evaluation.drop is not None
        assert evaluation.drop.value == pytest.approx(right.mean() - (found.argmax(axis=1) == y).mean())
        assert evaluation.worst_class is not None


def test_what_the_package_says_of_the_data(net_package: edgeml.Package, digits: Digits) -> None:
    data = net_package.manifest.data
    assert (data.judged_on, data.judged_samples, data.labelled) == ("evaluation", 600, True)
    assert (data.calibration_samples, data.overlap) == (200, 0)
    assert data.calibration
    assert data.evaluation


def test_golden_inputs_are_the_first_sixteen_and_span_the_range_of_int8(
    net_package: edgeml.Package, digits: Digits
) -> None:
    from edgeml.package.golden import golden_inputs

    golden = net_package.manifest.golden
    assert golden.samples == 16 + 5
    image = golden_inputs(golden, net_package.read)["image"]
    np.testing.assert_array_equal(image[:16], digits.evaluation[:16])
    (spec,) = net_package.artifact("tflite-int8").signature.inputs
    assert spec.quantization is not None
    steps = np.rint(image[16:] / spec.quantization.scale) + spec.quantization.zero_point
    assert (steps.min(), steps.max()) == (-128, 127)
    assert (image[18] == 0).all()
    files = {run.recipe: run.outputs["scores"] for run in golden.runs if run.family == "xnnpack"}
    with net_package.session("tflite-int8") as session:
        raw = np.load(io.BytesIO(net_package.read(files["tflite-int8"])))
        np.testing.assert_array_equal(raw, session.run_raw({"image": image})["scores"])


# Tasks


@pytest.fixture(scope="module")
def autoencoder(keras_models: Worker) -> edgeml.Package:
    return edgeml.build(made(keras_models, "autoencoder"), evaluation=X, task="reconstruction", recipes=FLOATS)


@pytest.mark.slow
def test_a_reconstruction_has_a_relative_error_as_its_drop(autoencoder: edgeml.Package, keras_models: Worker) -> None:
    assert autoencoder.manifest.source.task == "reconstruction"
    (wanted,) = answers(keras_models, "autoencoder", X)
    for record in autoencoder.manifest.artifacts:
        assert record.verdict.released
        metrics, drop = record.evaluation.metrics, record.evaluation.drop
        assert metrics is not None
        assert drop is not None
        assert drop.metric == "relative_mse"
        assert metrics.relative_mse == pytest.approx(((wanted - X) ** 2).mean() / X.var(axis=0).mean(), rel=1e-4)
        assert abs(drop.value) < 1e-5
        assert metrics.r2 is None


@pytest.fixture(scope="module")
def regression(keras_models: Worker) -> tuple[edgeml.Package, np.ndarray]:
    """And the true values, near those of the model."""
    (values,) = answers(keras_models, "value", X)
    truth = values + np.random.default_rng(1).normal(0, 0.1, values.shape)
    package = edgeml.build(
        made(keras_models, "value"), calibration=X[:35], evaluation=(X[30:], truth[30:]), recipes=[*FLOATS, "onnx-int8"]
    )
    return package, truth[30:]


def test_a_regression_has_r2(regression: tuple[edgeml.Package, np.ndarray]) -> None:
    package, truth = regression
    assert (package.manifest.source.task, package.manifest.source.decision) == ("regression", None)
    source = package.session("tflite-fp32").predict(X[30:])
    for record in package.manifest.artifacts:
        metrics, drop = record.evaluation.metrics, record.evaluation.drop
        assert metrics is not None
        assert drop is not None
        found = r2_score(truth, scores_of(package, record.recipe, X[30:]))
        assert metrics.r2 == pytest.approx(found, abs=1e-6)
        assert drop.metric == "r2"
        assert drop.value == pytest.approx(r2_score(truth, source) - found, abs=1e-4)
        assert (metrics.accuracy, record.evaluation.fidelity.agreement) == (None, None)


def test_a_regression_has_no_labels(regression: tuple[edgeml.Package, np.ndarray]) -> None:
    with pytest.raises(InputError, match="not a classifier"):
        regression[0].session("tflite-fp32").classify(X)


@pytest.mark.slow
def test_a_sigmoid_decides_at_a_half(keras_models: Worker) -> None:
    (scores,) = answers(keras_models, "sigmoid", X)
    y = (scores[:, 0] > 0.5).astype(int)
    y[::10] = 1 - y[::10]
    package = edgeml.build(made(keras_models, "sigmoid"), evaluation=(X, y), labels=["no", "yes"], recipes=FLOATS)
    assert package.released == tuple(FLOATS)
    for record in package.manifest.artifacts:
        assert record.evaluation.metrics is not None
        assert record.evaluation.metrics.accuracy == pytest.approx(0.9)
        found = package.session(record.recipe).classify(X)
        assert found.tolist() == np.where(scores[:, 0] > 0.5, "yes", "no").tolist()


@pytest.mark.slow
def test_a_softmax_may_be_told_to_give_values(keras_models: Worker) -> None:
    tokens = np.random.default_rng(0).integers(200, size=(40, 5))
    (scores,) = answers(keras_models, "tokens", tokens)
    path = made(keras_models, "tokens")
    package = edgeml.build(path, evaluation=(tokens, scores + 0.01), task="regression", recipes=["onnx-fp32"])
    (record,) = package.manifest.artifacts
    assert record.verdict.released
    assert record.evaluation.drop is not None
    assert record.evaluation.drop.metric == "r2"
    assert {spec.meaning for spec in record.signature.outputs} == {"values"}
    with pytest.raises(InputError, match="not a classifier"):
        package.session("onnx-fp32").classify(tokens)


@pytest.mark.slow
def test_logits_classify_once_labels_show_it(keras_models: Worker) -> None:
    (scores,) = answers(keras_models, "logits", X)
    package = edgeml.build(made(keras_models, "logits"), evaluation=(X, scores.argmax(axis=1)), recipes=["onnx-fp32"])
    (record,) = package.manifest.artifacts
    assert package.manifest.source.task == "classification"
    assert record.evaluation.metrics is not None
    assert record.evaluation.metrics.accuracy == 1.0
    np.testing.assert_array_equal(package.session("onnx-fp32").classify(X), scores.argmax(axis=1))


@pytest.mark.slow
def test_whole_numbers_in_and_text_out(keras_models: Worker) -> None:
    tokens = np.random.default_rng(0).integers(200, size=(40, 5))
    (scores,) = answers(keras_models, "tokens", tokens)
    names = np.array(["left", "ahead", "right"])
    package = edgeml.build(
        made(keras_models, "tokens"),
        evaluation=({"tokens": tokens}, names[scores.argmax(axis=1)]),
        labels=names.tolist(),
        recipes=FLOATS,
    )
    assert package.released == tuple(FLOATS)
    for recipe in FLOATS:
        assert package.session(recipe).classify(tokens).tolist() == names[scores.argmax(axis=1)].tolist()


@pytest.mark.slow
def test_several_outputs_come_as_a_dict(keras_models: Worker) -> None:
    path = made(keras_models, "by_name")
    package = edgeml.build(path, recipes=FLOATS)
    inputs = {"left": X[:9, :4], "right": X[:9, 4:7]}
    wanted = keras_models.call("named_answers", path, inputs, returns=dict[str, np.ndarray])
    for recipe in FLOATS:
        found = package.session(recipe).predict(inputs)
        assert isinstance(found, dict)
        assert list(found) == ["down", "up"]
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values, atol=1e-5)


@pytest.mark.slow
def test_an_output_that_is_always_zero_does_not_stand_in_the_way(keras_models: Worker) -> None:
    package = edgeml.build(made(keras_models, "dead"), calibration=X, recipes=["tflite-fp32", "tflite-int8"])
    assert package.released == ("tflite-fp32", "tflite-int8")


# Proof without labels, with few samples, with drawn ones


@pytest.mark.slow
def test_without_labels_accuracy_is_not_measured(keras_models: Worker) -> None:
    package = edgeml.build(made(keras_models, "tokens"), evaluation=np.ones((3, 5)) * [[1], [2], [3]], recipes=FLOATS)
    assert (package.manifest.data.judged_samples, package.manifest.data.labelled) == (3, False)
    for record in package.manifest.artifacts:
        assert record.verdict.released
        assert record.verdict.remarks == ("accuracy was not measured",)
        assert (record.evaluation.drop, record.evaluation.metrics) == (None, None)
        assert record.evaluation.fidelity.agreement == 1
    assert package.manifest.golden.samples == 16  # the three, over and over
    assert {check.status for check in package.verify().golden} == {"holds"}


@pytest.mark.slow
def test_without_any_data_the_package_says_so_and_integers_are_refused(keras_models: Worker) -> None:
    steps: list[Step] = []
    package = edgeml.build(made(keras_models, "value"), progress=steps.append)
    data = package.manifest.data
    assert (data.judged_on, data.judged_samples, data.calibration, data.evaluation) == ("drawn", 256, None, None)
    refused = {record.recipe: record for record in package.manifest.refused}
    assert set(refused) == {"tflite-int8", "tflite-int16x8", "onnx-int8"}
    for record in refused.values():
        assert "needs calibration samples" in record.reason
        assert "calibration=x" in record.fix
    assert package.failures == ()  # declined by rule: nothing to reproduce
    assert [step.done for step in steps] == list(range(len(steps)))
    assert {step.total for step in steps} == {len(steps)}
    assert [step.text for step in steps[2:]] == [
        f"{what} {recipe.id}" for what in ("converting", "proving") for recipe in RECIPES
    ]
    with pytest.raises(InputError, match="needs calibration samples"):
        package.session("tflite-int8")


def test_overlap_is_reported(regression: tuple[edgeml.Package, np.ndarray]) -> None:
    assert regression[0].manifest.data.overlap == 5


@pytest.mark.slow
def test_a_constant_model_proves_little(keras_models: Worker) -> None:
    package = edgeml.build(made(keras_models, "value"), evaluation=np.ones((9, 16)), recipes=["tflite-fp32"])
    (record,) = package.manifest.artifacts
    assert record.evaluation.fidelity.centred_sqnr_db is None
    assert any("proves little" in remark for remark in record.verdict.remarks)


# Rejected artifacts


@pytest.fixture(scope="module")
def badly_calibrated(net_file: Path, digits: Digits) -> edgeml.Package:
    """Inputs were scaled to 0 to 255 for calibration, and to 0 to 1 for use."""
    return edgeml.build(
        net_file,
        calibration=digits.calibration * 255,
        evaluation=(digits.evaluation, digits.evaluation_labels),
        recipes=["tflite-int8", "onnx-int8", "tflite-fp32"],
    )


def test_bad_calibration_is_found(badly_calibrated: edgeml.Package) -> None:
    assert badly_calibrated.released == ("tflite-fp32",)
    for recipe in ("tflite-int8", "onnx-int8"):
        record = badly_calibrated.artifact(recipe)
        assert record.verdict.status == "rejected"
        assert any("SQNR" in reason for reason in record.verdict.reasons)


def test_a_rejected_artifact_is_kept_and_runs_when_it_is_named(
    badly_calibrated: edgeml.Package, digits: Digits
) -> None:
    for recipe in ("tflite-int8", "onnx-int8"):
        assert badly_calibrated.session(recipe).classify(digits.evaluation[:5]).shape == (5,)
    assert badly_calibrated.manifest.refused == ()


def test_a_rejected_artifact_is_never_chosen(
    badly_calibrated: edgeml.Package, net_file: Path, digits: Digits, tmp_path: Path
) -> None:
    sizes = {record.recipe: len(badly_calibrated.read(record.file)) for record in badly_calibrated.manifest.artifacts}
    assert min(sizes, key=sizes.__getitem__) != "tflite-fp32"  # so that another would be chosen, had it been released
    assert badly_calibrated.best() == "tflite-fp32"
    badly_calibrated.save(tmp_path / "net.edgeml")
    session = edgeml.load(tmp_path / "net.edgeml")
    assert session.signature == badly_calibrated.artifact("tflite-fp32").signature


@pytest.mark.slow
def test_with_nothing_released_the_package_is_given_all_the_same(keras_models: Worker, tmp_path: Path) -> None:
    goal = edgeml.Goal(max_size_bytes=10, max_p95_ms=1000.0)
    package = edgeml.build(made(keras_models, "value"), goal=goal, recipes=["tflite-fp32"])
    (record,) = package.manifest.artifacts
    assert package.released == ()
    assert len(record.verdict.reasons) == 1
    assert "bytes is more than 10" in record.verdict.reasons[0]
    assert record.measurement is not None  # the goal asked for it
    assert 0 < record.measurement.median_ms <= record.measurement.p95_ms < 1000
    assert package.manifest.goal == goal
    package.save(tmp_path / "value.edgeml")
    with pytest.raises(TargetError, match="does not contain a released artifact"):
        edgeml.load(tmp_path / "value.edgeml")


def test_latency_is_not_measured_unless_asked(net_package: edgeml.Package) -> None:
    assert all(record.measurement is None for record in net_package.manifest.artifacts)


# What cannot be built


@pytest.mark.parametrize("name", ["", "Digits", "digits net", "-digits", "digits/net", "ziffern-ä", "x" * 65, None, 3])
def test_malformed_names(name: Any) -> None:
    with pytest.raises(InputError, match="name: got"):
        edgeml.build("no.keras", name=name)


@pytest.mark.parametrize("what", ["licence", "author"])
def test_texts_that_the_manifest_cannot_hold(what: str) -> None:
    with pytest.raises(InputError, match=f"{what}: got .* at most 10,000"):
        edgeml.build("no.keras", **{what: "x" * 10_001})  # type: ignore[arg-type]  # one of the two texts


@pytest.mark.parametrize(
    "version", ["", "1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.x", "1.0.0 ", "1.0.0\n", None, 1.0]
)
def test_malformed_versions(version: Any) -> None:
    with pytest.raises(InputError, match=r"version: got .* semantic version"):
        edgeml.build("no.keras", version=version)


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        (["tflite-int4"], "Unknown recipe 'tflite-int4'"),
        (["onnx-fp32", "onnx-fp32"], "'onnx-fp32' is listed twice"),
        ([], "recipes is empty"),
    ],
)
def test_recipes_that_are_none(recipes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        edgeml.build("no.keras", recipes=recipes)


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_below_one(batch: int) -> None:
    with pytest.raises(InputError, match=f"batch is {batch}, expected 1 to 65536"):
        edgeml.build("no.keras", batch=batch)


def test_a_missing_file() -> None:
    with pytest.raises(InputError, match=r"nowhere\.keras: file not found"):
        edgeml.build("nowhere.keras")


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".joblib", ".PKL"])
def test_pickles_are_not_loaded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(UnsupportedModelError, match="is a pickle: loading it runs any code that it holds") as caught:
        edgeml.build(path)
    assert "skops.io.dump" in caught.value.fix


@pytest.mark.parametrize("name", ["model.bin", "model"])
def test_files_of_no_known_kind(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"?")
    with pytest.raises(InputError, match=r"model.*: the file type '.*' is not supported") as caught:
        edgeml.build(tmp_path / name)
    assert ".keras, .h5, .hdf5, .skops, .tflite, .onnx" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "kind", "fix"),
    [
        ("model.pt", "a PyTorch file", "torch.onnx.export"),
        ("model.PTH", "a PyTorch file", "torch.onnx.export"),
        ("model.safetensors", "weights without a model", "save the whole model"),
        ("frozen.pb", "a TensorFlow graph", "SavedModel"),
        ("model.ubj", "an XGBoost file", "ONNX"),
        ("model.cbm", "a CatBoost file", "format='onnx'"),
        ("model.edgeml", "a package that edgeml has already built", "the model that it was built from"),
    ],
)
def test_files_of_other_frameworks_are_named(tmp_path: Path, name: str, kind: str, fix: str) -> None:
    (tmp_path / name).write_bytes(b"?")
    with pytest.raises(UnsupportedModelError, match=f"{name} is .*{kind}") as caught:
        edgeml.build(tmp_path / name)
    assert fix in caught.value.fix


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.keras").mkdir()
    with pytest.raises(InputError, match=r"model\.keras is a folder, but not a SavedModel"):
        edgeml.build(tmp_path / "model.keras")


@pytest.mark.parametrize("model", [None, 3, object(), {"a": 1}, np.zeros(3)])
def test_objects_that_are_no_models(model: object) -> None:
    with pytest.raises(UnsupportedModelError, match=r"objects of the type .* are not supported") as caught:
        edgeml.build(model)
    assert "Keras models, fitted scikit-learn estimators" in caught.value.fix


def test_a_class_in_place_of_a_model() -> None:
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(InputError, match="expected a model, got the class LogisticRegression"):
        edgeml.build(LogisticRegression)


def test_the_bytes_of_a_file_in_place_of_its_path() -> None:
    with pytest.raises(InputError, match="expected a model or a path, got bytes"):
        edgeml.build(b"bytes")


@pytest.mark.parametrize(
    ("module", "library", "fix"),
    [
        ("torch.nn.modules.module", "PyTorch", "torch.onnx.export"),
        ("xgboost.core", "XGBoost", "ONNX"),
        ("lightgbm.basic", "LightGBM", "ONNX"),
        ("tensorflow.python.module.module", "TensorFlow", "tf2onnx"),
        ("onnx.onnx_ml_pb2", "ONNX", "onnx.save"),
    ],
)
def test_models_of_other_libraries_are_named(module: str, library: str, fix: str) -> None:
    base = type("Module", (), {"__module__": module})
    model = type("Net", (base,), {"__module__": "mine", "predict": lambda _, x: x})()  # a subclass of the user's
    with pytest.raises(UnsupportedModelError, match=rf"mine\.Net of {library} is not supported in memory") as caught:
        edgeml.build(model)
    assert fix in caught.value.fix


def test_an_object_with_predict_alone() -> None:
    model = type("Predictor", (), {"__module__": "mine", "predict": lambda _, x: x})()
    with pytest.raises(UnsupportedModelError, match=r"mine\.Predictor is neither a Keras model nor a") as caught:
        edgeml.build(model)
    assert "fitted scikit-learn estimators" in caught.value.fix


def estimator_of(module: str) -> Any:
    """A fitted estimator of a library that follows scikit-learn's interface, as XGBoost does."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    def fit(model: Any, x: np.ndarray, y: np.ndarray) -> Any:
        model.classes_, model.n_features_in_ = np.unique(y), x.shape[1]
        return model

    members = {"__module__": module, "fit": fit, "predict": lambda model, x: model.classes_[np.zeros(len(x), int)]}
    return type("XGBClassifier", (ClassifierMixin, BaseEstimator), members)()


@pytest.mark.parametrize(("module", "origin"), [("xgboost.sklearn", "XGBoost"), ("mine", "the module 'mine'")])
@pytest.mark.parametrize("trust", [False, True])
def test_an_estimator_that_is_not_of_scikit_learn(module: str, origin: str, trust: bool) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
    expected = f"XGBClassifier of {origin} is not an estimator of scikit-learn itself"
    with pytest.raises(UnsupportedModelError, match=expected) as caught:
        edgeml.build(estimator_of(module).fit(x, y), trust_source=trust)
    assert "convert the model to ONNX" in caught.value.fix
    assert "trust" not in caught.value.fix
    pipeline = make_pipeline(StandardScaler(), estimator_of(module)).fit(x, y)
    with pytest.raises(UnsupportedModelError, match=f"XGBClassifier of {origin}, a step of the Pipeline, is not"):
        edgeml.build(pipeline, trust_source=trust)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"no model at all")
    with pytest.raises(InputError, match=r"model\.keras is not a Keras model"):
        edgeml.build(path)


@pytest.mark.slow
def test_a_drop_is_bounded_and_there_are_no_labels(net_file: Path, digits: Digits) -> None:
    with pytest.raises(InputError, match="max_drop requires true labels") as caught:
        edgeml.build(net_file, evaluation=digits.evaluation, goal=edgeml.Goal(max_drop=0.01))
    assert "evaluation=(x, y)" in caught.value.fix


@pytest.mark.slow
def test_bad_data_is_told_before_anything_is_converted(net_file: Path, digits: Digits) -> None:
    steps: list[Step] = []
    y = digits.evaluation_labels + 1
    with pytest.raises(InputError, match="never seen: 10; it knows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"):
        edgeml.build(net_file, evaluation=(digits.evaluation, y), progress=steps.append)
    assert [step.text for step in steps] == ["loading the model"]


@pytest.mark.slow
def test_a_model_in_memory_is_packaged_as_its_file_is(keras_models: Worker) -> None:
    built = edgeml.open_package(keras_models.call("build_in_memory", "value", "onnx-fp32", returns=Path))
    from_file = edgeml.build(made(keras_models, "value"), recipes=["onnx-fp32"])
    assert built.manifest == from_file.manifest


# What a stranger tried


@pytest.mark.slow
def test_outputs_in_nested_dictionaries_keep_all_their_keys(keras_models: Worker) -> None:
    package = edgeml.build(made(keras_models, "nested_answers"), recipes=FLOATS)
    assert package.released == ("tflite-fp32", "onnx-fp32")
    named = package.session("onnx-fp32").run({"x": X})
    wanted = answers(keras_models, "nested_answers", X)
    assert sorted(named) == ["again", "pose_roll", "pose_yaw"]
    assert [named[name].shape[1] for name in ("again", "pose_roll", "pose_yaw")] == [2, 2, 3]
    for name, values in zip(named, wanted, strict=True):
        np.testing.assert_allclose(named[name], values, atol=1e-5)


@pytest.mark.slow
def test_a_model_that_remembers_is_refused(keras_models: Worker) -> None:
    with pytest.raises(UnsupportedModelError, match="keeps state between calls") as caught:
        edgeml.build(made(keras_models, "stateful"))
    assert "stateful=False" in caught.value.fix


@pytest.mark.slow
def test_whole_numbers_are_not_drawn(keras_models: Worker) -> None:
    with pytest.raises(InputError, match="inputs tokens accept whole numbers"):
        edgeml.build(made(keras_models, "tokens"), recipes=FLOATS)
    tokens = np.random.default_rng(0).integers(200, size=(40, 5))
    assert edgeml.build(made(keras_models, "tokens"), recipes=FLOATS, evaluation=tokens).released == tuple(FLOATS)


@pytest.mark.slow
def test_inputs_that_float32_cannot_tell_apart_are_no_basis_for_a_release() -> None:
    """Seconds since 1970: the source parts them in float64; in float32 there is one number for every 128."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(0)
    seconds = 1.7e9 + rng.integers(600, size=(300, 1)).astype(np.float64)
    late = (seconds[:, 0] % 60 > 30).astype(int)
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)).fit(seconds, late)
    package = edgeml.build(model, evaluation=(seconds, late), recipes=["onnx-fp32"])
    assert package.released == ()
    flips = int((model.predict(seconds) != model.predict(seconds.astype(np.float32))).sum())
    (reason,) = package.artifact("onnx-fp32").verdict.reasons
    assert f"for the source itself, {flips} of 300 labels differ" in reason
    near = seconds - 1.7e9
    model.fit(near, late)
    assert edgeml.build(model, evaluation=(near, late), recipes=["onnx-fp32"]).released == ("onnx-fp32",)
