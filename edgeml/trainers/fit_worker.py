"""Train a model in a child process, from data to files."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from edgeml.core.errors import InputError
from edgeml.core.system.machine import installed_version
from edgeml.trainers.dataset import read_dataset
from edgeml.trainers.metrics import classification_metrics, reconstruction_metrics, regression_metrics
from edgeml.trainers.problem import Problem
from edgeml.trainers.result import Epoch, Trained, TrainingMetrics
from edgeml.trainers.sample_files import sample_files, select_rows
from edgeml.trainers.split import Parts, split_samples
from edgeml.trainers.training_schema import Fit, Net, Sklearn, Training

if TYPE_CHECKING:
    from edgeml.trainers.keras_fitting import NetFitting

__all__ = ["SUMMARY", "Trainer", "TrainerSettings"]

SUMMARY = "training.json"
_BATCH = 256


class TrainerSettings(Struct, frozen=True):
    """Settings of a `Trainer`.

    Attributes:
        training: The training.
        folder: The folder to write files to.
    """

    training: Training
    folder: Path


class Trainer:
    """Train a model. Runs in a `Worker`, which keeps frameworks and their output out of the caller's process."""

    def __init__(self, settings: TrainerSettings) -> None:
        # Import first what writes the files: a missing extra is reported before the training, not after.
        for module in ("matplotlib", "skops.io" if isinstance(settings.training.model, Sklearn) else "keras"):
            importlib.import_module(module)

        self._training, self._folder = settings.training, settings.folder
        self._problem = Problem.from_training(self._training, read_dataset(self._training.data))
        problem, net = self._problem, not isinstance(self._training.model, Sklearn)
        self._parts = split_samples(
            len(problem.x), problem.target, problem.task, self._training.split,
            seed=self._training.seed, validate=net,
        )  # fmt: skip
        self._fitting: NetFitting | None = None
        self._history: list[Epoch] = []

    def epochs(self) -> int:
        """Return the maximum number of epochs; 0 for models that are fitted at once."""
        return 0 if isinstance(self._training.model, Sklearn) else (self._training.fit or Fit()).epochs

    def epoch(self) -> Epoch | None:
        """Train the net for one more epoch; return None after the last."""
        if self._fitting is None:
            self._fitting = self._net()
        if self._fitting.done:
            return None
        self._history.append(self._fitting.epoch())
        return self._history[-1]

    def finish(self) -> Trained:
        """Compute the metrics and write all files; fit scikit-learn's models first."""
        problem, parts = self._problem, self._parts
        x, truth = select_rows(problem.x, parts.evaluation), select_rows(problem.target, parts.evaluation)
        remarks, details = problem.data.remarks, dict[str, Any]()
        if problem.estimator is not None:
            from edgeml.trainers.sklearn_fitting import fit_model

            fitted = fit_model(
                problem.estimator, select_rows(problem.x, parts.train), select_rows(problem.target, parts.train),
                self._training.search,
            )  # fmt: skip
            model, remarks = fitted.model, (*remarks, *fitted.remarks)
            details["search"] = fitted.search
            metrics = self._estimator_metrics(model, x, truth)
        else:
            assert self._fitting is not None
            model = self._fitting.restore_best()
            details |= {
                "history": tuple(self._history),
                "best_epoch": self._fitting.best_epoch,
                "parameters": int(model.count_params()),
            }
            metrics = self._net_metrics(model, x, truth)
        files = {
            **self._model_file(model),
            **sample_files(self._training.data, problem, parts),
            **self._pictures(metrics, details.get("best_epoch")),
        }
        trained = Trained(
            training=self._training,
            model=next(iter(files)),
            task=problem.task,
            data_digest=problem.data.digest,
            samples={"all": len(problem.x), **{name: len(getattr(parts, name)) for name in Parts.__slots__}},
            classes=None if problem.classes is None else tuple(problem.classes.tolist()),
            columns=problem.columns,
            preprocessing=problem.declaration,
            metrics=metrics,
            remarks=remarks,
            versions={
                name: version
                for name in ("edgeml", "numpy", "scikit-learn", *(("keras", "tensorflow") if self.epochs() else ()))
                if (version := installed_version(name)) is not None
            },
            files=(*files, SUMMARY),
            **details,
        )
        files[SUMMARY] = msgspec.json.format(msgspec.json.encode(trained, enc_hook=_encode_path), indent=2)
        for name, data in files.items():
            (self._folder / name).write_bytes(data)
        return trained

    def _net(self) -> NetFitting:
        from edgeml.trainers.keras_fitting import NetFitting, NetSamples

        model = self._training.model
        assert not isinstance(model, Sklearn)
        net: Net = model
        problem, train, validation = self._problem, self._parts.train, self._parts.validation
        samples = NetSamples(
            problem.x[train], self._expected_outputs(train), problem.x[validation], self._expected_outputs(validation),
            pixels=problem.data.inputs.ndim > 2,
        )  # fmt: skip
        classes = None if problem.classes is None else len(problem.classes)
        return NetFitting(net, self._training.fit or Fit(), samples, classes=classes, seed=self._training.seed)

    def _expected_outputs(self, positions: np.ndarray) -> np.ndarray:
        """Return a net's expected outputs: positions of classes ``[samples]``, or values ``[samples, size]``."""
        if self._problem.task == "reconstruction":
            return self._problem.x[positions]
        target = select_rows(self._problem.target, positions)
        if self._problem.classes is not None:
            position = {label: i for i, label in enumerate(self._problem.classes.tolist())}
            return np.array([position[label] for label in target.tolist()])
        return target.reshape(len(positions), -1)

    def _net_metrics(self, model: Any, x: np.ndarray, truth: np.ndarray | None) -> TrainingMetrics:
        parts = [
            np.asarray(model(x[i * _BATCH : (i + 1) * _BATCH], training=False))
            for i in range(math.ceil(len(x) / _BATCH))
        ]
        outputs = np.concatenate(parts)
        if self._problem.task == "reconstruction":
            return reconstruction_metrics(x, outputs)
        assert truth is not None
        if self._problem.classes is None:
            return regression_metrics(truth.reshape(len(truth), -1), outputs)
        return classification_metrics(
            truth, self._problem.classes[outputs.argmax(axis=1)], outputs, self._problem.classes
        )

    def _estimator_metrics(self, model: Any, x: Any, truth: np.ndarray | None) -> TrainingMetrics:
        if truth is None:
            return TrainingMetrics()
        predicted = model.predict(x)
        if self._problem.classes is None:
            return regression_metrics(truth, predicted)
        methods = (name for name in ("predict_proba", "decision_function") if hasattr(model, name))
        scores = next((getattr(model, name)(x) for name in methods), None)
        return classification_metrics(truth, predicted, scores, self._problem.classes)

    def _model_file(self, model: Any) -> dict[str, bytes]:
        if isinstance(self._training.model, Sklearn):
            import skops.io

            try:
                return {"model.skops": skops.io.dumps(model)}
            except Exception as error:  # skops does not have an exception type of its own
                raise InputError(
                    f"model: skops cannot save it: {error}", fix="remove the part that the message names."
                ) from error
        path = self._folder / "model.keras"
        model.save(path)
        return {path.name: path.read_bytes()}

    def _pictures(self, metrics: TrainingMetrics, best: int | None) -> dict[str, bytes]:
        from edgeml.trainers.pictures import draw_confusion, draw_curves

        pictures = {}
        if best is not None:
            assert self._fitting is not None
            pictures["curves.png"] = draw_curves(self._history, best, standardized=self._fitting.standardized)
        if metrics.confusion is not None and self._problem.classes is not None:
            pictures["confusion.png"] = draw_confusion(metrics.confusion, self._problem.classes.tolist())
        return pictures


def _encode_path(value: Any) -> str:
    """Encode a path by its name alone: the folder does not affect the result."""
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"{type(value).__name__} cannot be written to {SUMMARY}")
