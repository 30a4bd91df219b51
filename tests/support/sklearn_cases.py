"""scikit-learn models, their artifacts, and the artifacts' answers beside scikit-learn's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR

from edgeml.converters.sklearn import to_onnx
from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob
from edgeml.core.encoding import Encoding, Scaling
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.core.system.worker import Worker
from edgeml.core.tensors import TensorSpec
from edgeml.sources.sklearn import SklearnSource, open_source, save
from tests.support.tables import table

__all__ = [
    "CLASSIFIERS",
    "QUIET",
    "REGRESSORS",
    "Conversions",
    "assert_faithful",
    "check_classifier",
    "check_labels_that_are_text",
    "check_regressor",
    "check_trained_in_float64",
    "fitted",
    "fitted_regressor",
    "run_onnx",
    "run_tflite",
    "scaled",
    "scores_of",
]

QUIET = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),  # a few epochs are enough here,
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),  # and a few steps
    pytest.mark.filterwarnings("ignore:The `probability` parameter was deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*ill-conditioned"),
    pytest.mark.filterwarnings("ignore:Bins whose width are too small"),
]
"""Warnings of scikit-learn's about models that serve here as they are."""

_FLOOR_DB = {"fp32": 90.0, "fp16": 40.0, "int16x8": 25.0, "dynamic": 15.0, "int8": 15.0}
_CENTRED_BELOW_DB = 5.0


def scaled(*steps: Any) -> Pipeline:
    """The steps behind a StandardScaler."""
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


@cache
def fitted(kind: str, name: str, *, text: bool = False) -> Any:
    """One of `CLASSIFIERS`, trained on a table; shared, not to be changed."""
    data = table(name)
    return clone(CLASSIFIERS[kind]).fit(data.x, data.text() if text else data.y)


@cache
def fitted_regressor(kind: str) -> Any:
    """One of `REGRESSORS`, trained on diabetes; shared, not to be changed."""
    data = table("diabetes")
    return clone(REGRESSORS[kind]).fit(data.x, data.y)


class Conversions:
    """Conversions of models: ``onnx-fp32`` in this process, and the recipes that need TensorFlow in a worker.

    Args:
        worker: A `tests.support.sklearn_worker.SklearnWorker`.
        folder: For files.
    """

    def __init__(self, worker: Worker, folder: Path) -> None:
        self._worker = worker
        self._folder = folder
        self._count = 0

    def convert(
        self,
        model: Any,
        recipe_id: str,
        calibration: np.ndarray | None = None,
        *,
        batch: int | None = None,
        trust: bool = False,
    ) -> Artifact:
        """The artifact of one recipe."""
        if recipe_id != "onnx-fp32":
            (artifact,) = self.convert_together(model, [recipe_id], calibration, batch=batch, trust=trust)
            return artifact
        path = self._saved(model)
        job = ConversionJob(path.parent, batch, None if calibration is None else {"features": calibration})
        source: Any = open_source(path, trust=trust)
        return to_onnx.convert(source, find_recipe(recipe_id), job)

    def convert_together(
        self,
        model: Any,
        recipe_ids: list[str],
        calibration: np.ndarray | None = None,
        *,
        batch: int | None = None,
        trust: bool = False,
    ) -> list[Artifact]:
        """The artifacts of several recipes in one job, as a build makes them."""
        given = {} if calibration is None else {"features": calibration}
        path = self._saved(model)
        return self._worker.call("convert", path, recipe_ids, given, batch or 0, trust, returns=list[Artifact])

    def source(self, model: Any) -> SklearnSource:
        """The model as a source."""
        return open_source(self._saved(model))

    def session(self, model: Any, artifact: Artifact) -> Session:
        """A session of a TFLite artifact."""
        decision = self.source(model).info.decision
        return find_engine("tflite")(artifact.data, artifact.signature, needs=artifact.needs, decision=decision)

    def onnx_answers(self, model: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What the model's ``onnx-fp32`` artifact gives, by output."""
        return run_onnx(self.convert(model, "onnx-fp32"), rows)

    def onnx_values(self, model: Any, rows: np.ndarray) -> np.ndarray:
        """What the model's ``onnx-fp32`` artifact gives first: scores, values, or labels of a clusterer."""
        return next(iter(self.onnx_answers(model, rows).values()))

    def check_tflite(self, model: Any, rows: np.ndarray) -> None:
        """The model's ``tflite-fp32`` artifact gives the same scores or values, and no other label."""
        session = self.session(model, self.convert(model, "tflite-fp32"))
        wanted, found = scores_of(model, rows), session.predict(rows)
        assert isinstance(found, np.ndarray)
        assert found.shape == wanted.shape
        assert np.square(found - wanted).sum() <= 1e-9 * np.square(wanted).sum()
        if hasattr(model, "classes_"):
            np.testing.assert_array_equal(session.classify(rows), model.predict(rows))

    def _saved(self, model: Any) -> Path:
        self._count += 1
        folder = self._folder / f"model-{self._count}"
        folder.mkdir()
        save(model, folder / "model.skops")
        return folder / "model.skops"


def scores_of(model: Any, rows: np.ndarray) -> np.ndarray:
    """Its probabilities, else its decisions, else its predictions, else what it transforms rows to."""
    names = ("predict_proba", "decision_function", "predict", "transform")
    return np.asarray(next(getattr(model, name) for name in names if hasattr(model, name))(rows))


def run_onnx(artifact: Artifact, rows: np.ndarray) -> dict[str, np.ndarray]:
    """What the artifact gives in the raw runtime, by output, of the shapes and dtypes that it declares."""
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert names == [spec.name for spec in artifact.signature.outputs]
    encoding = artifact.signature.inputs[0].encoding
    given = rows if encoding is None else _encoded(rows, encoding)
    answers = dict(zip(names, session.run(None, {"features": given}), strict=True))
    for spec in artifact.signature.outputs:
        assert answers[spec.name].shape == (len(rows), *spec.shape[1:])
        assert answers[spec.name].dtype == (object if spec.dtype == "string" else spec.dtype)
    return answers


def run_tflite(artifact: Artifact, rows: np.ndarray) -> np.ndarray:
    """What the artifact gives in the raw interpreter, one row at a time."""
    interpreter = Interpreter(model_content=artifact.data, num_threads=1)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    encoding = artifact.signature.inputs[0].encoding
    for row in rows if encoding is None else _encoded(rows, encoding):
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


def _encoded(rows: np.ndarray, encoding: Encoding) -> np.ndarray:
    if isinstance(encoding, Scaling):
        offset, scale = (np.array(values, dtype=np.float32) for values in (encoding.offset, encoding.scale))
        return np.asarray((rows - offset) / scale)
    ranks = [np.searchsorted(cuts, column, side="left") for cuts, column in zip(encoding.cuts, rows.T, strict=True)]
    return np.stack(ranks, axis=1).astype(np.float32) / np.float32(256)


def assert_faithful(answer: np.ndarray, expected: np.ndarray, precision: str = "fp32") -> None:
    """The answer has the shape expected, and no more noise than the precision may have."""
    expected = expected.astype(np.float64)
    noise = np.square(answer - expected).sum()
    signal = np.square(expected).sum()
    centred = np.square(expected - expected.mean(axis=0)).sum()
    assert answer.shape == expected.shape
    assert signal >= noise * 10 ** (_FLOOR_DB[precision] / 10)
    assert centred >= noise * 10 ** ((_FLOOR_DB[precision] - _CENTRED_BELOW_DB) / 10)


def check_classifier(conversions: Conversions, kind: str, name: str) -> None:
    """The ``onnx-fp32`` artifact of one of `CLASSIFIERS` answers rows held out as scikit-learn does."""
    data, model = table(name), fitted(kind, name)
    source = conversions.source(model)
    answers = conversions.onnx_answers(model, data.held_out)
    reference = source.reference({"features": data.held_out})
    assert source.info.decision is not None
    assert reference.labels is not None
    if "neighbors" not in kind:  # which of several neighbours at one distance counts depends on the threads
        np.testing.assert_array_equal(reference.outputs["scores"], scores_of(model, data.held_out).astype(np.float32))
    assert_faithful(answers["scores"], reference.outputs["scores"])
    assert answers["label"].dtype == np.int64
    np.testing.assert_array_equal(answers["label"], np.array(source.info.decision.labels)[reference.labels])


def check_labels_that_are_text(conversions: Conversions, kind: str, name: str) -> None:
    """The ``onnx-fp32`` artifact of one of `CLASSIFIERS` gives the words that it was trained with."""
    data, model = table(name), fitted(kind, name, text=True)
    artifact = conversions.convert(model, "onnx-fp32")
    assert artifact.signature.outputs[1] == TensorSpec("label", (None,), "string", meaning="label")
    labels = conversions.source(model).reference({"features": data.held_out}).labels
    np.testing.assert_array_equal(run_onnx(artifact, data.held_out)["label"], model.classes_[labels])


def check_regressor(conversions: Conversions, kind: str) -> None:
    """The ``onnx-fp32`` artifact of one of `REGRESSORS` answers rows held out as scikit-learn does."""
    data, model = table("diabetes"), fitted_regressor(kind)
    answers = conversions.onnx_answers(model, data.held_out)
    assert_faithful(answers["values"], model.predict(data.held_out))


def check_trained_in_float64(conversions: Conversions, model: Any) -> None:
    """The ``onnx-fp32`` artifact of a classifier of float64 digits answers float32 rows as the source does."""
    data = table("digits")
    model.fit(data.x.astype(np.float64), data.y)
    reference = conversions.source(model).reference({"features": data.held_out})
    answers = conversions.onnx_answers(model, data.held_out)
    assert_faithful(answers["scores"], reference.outputs["scores"])
    np.testing.assert_array_equal(answers["label"], reference.labels)
