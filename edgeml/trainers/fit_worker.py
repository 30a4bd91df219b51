"""Training of one model, from its data to its files."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from edgeml._version import __version__
from edgeml.core.errors import InputError
from edgeml.core.system.machine import installed_version
from edgeml.trainers.dataset import read_dataset
from edgeml.trainers.metrics import classification_metrics, reconstruction_metrics, regression_metrics
from edgeml.trainers.problem import posed
from edgeml.trainers.result import Epoch, Trained, TrainingMetrics
from edgeml.trainers.sample_files import sample_files, taken
from edgeml.trainers.split import Parts, part
from edgeml.trainers.training_schema import Fit, Net, Sklearn, Training

if TYPE_CHECKING:
    from edgeml.trainers.keras_fitting import NetFitting

__all__ = ["SUMMARY", "Trainer", "TrainerSettings"]

SUMMARY = "training.json"
_BATCH = 256


class TrainerSettings(Struct, frozen=True):
    """What to train, and the folder that the files go to."""

    training: Training
    folder: Path


class Trainer:
    """Lives in a `Worker`, which keeps the frameworks and what they print out of the caller's process."""

    def __init__(self, settings: TrainerSettings) -> None:
        # Where what writes the files is missing, that is told now, and not when all is learnt.
        for module in ("matplotlib", "skops.io" if isinstance(settings.training.model, Sklearn) else "keras"):
            importlib.import_module(module)

        self._training, self._folder = settings.training, settings.folder
        self._problem = posed(self._training, read_dataset(self._training.data))
        problem, net = self._problem, not isinstance(self._training.model, Sklearn)
        self._parts = part(
            len(problem.x), problem.target, problem.task, self._training.split,
            seed=self._training.seed, validate=net,
        )  # fmt: skip
        self._fitting: NetFitting | None = None
        self._history: list[Epoch] = []

    def epochs(self) -> int:
        """The most epochs that there will be; 0 where the model is fitted at once."""
        return 0 if isinstance(self._training.model, Sklearn) else (self._training.fit or Fit()).epochs

    def epoch(self) -> Epoch | None:
        """Makes the net's next epoch; None where there are no more."""
        if self._fitting is None:
            self._fitting = self._net()
        if self._fitting.done:
            return None
        self._history.append(self._fitting.epoch())
        return self._history[-1]

    def finish(self) -> Trained:
        """Finds the metrics and writes all files; for scikit-learn fits the model first."""
        problem, parts = self._problem, self._parts
        x, truth = taken(problem.x, parts.evaluation), taken(problem.target, parts.evaluation)
        remarks, found = problem.data.remarks, dict[str, Any]()
        if problem.estimator is not None:
            from edgeml.trainers.sklearn_fitting import fit_model

            fitted = fit_model(
                problem.estimator, taken(problem.x, parts.train), taken(problem.target, parts.train),
                self._training.search,
            )  # fmt: skip
            model, remarks = fitted.model, (*remarks, *fitted.remarks)
            found["search"] = fitted.search
            metrics = self._estimator_metrics(model, x, truth)
        else:
            assert self._fitting is not None
            model = self._fitting.finished()
            found |= {
                "history": tuple(self._history),
                "best_epoch": self._fitting.best_epoch,
                "parameters": int(model.count_params()),
            }
            metrics = self._net_metrics(model, x, truth)
        files = {
            **self._model_file(model),
            **sample_files(self._training.data, problem, parts),
            **self._pictures(metrics, found.get("best_epoch")),
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
            versions={"edgeml": __version__}
            | {
                name: version
                for name in ("numpy", "scikit-learn", *(("keras", "tensorflow") if self.epochs() else ()))
                if (version := installed_version(name)) is not None
            },
            files=(*files, SUMMARY),
            **found,
        )
        files[SUMMARY] = msgspec.json.format(msgspec.json.encode(trained, enc_hook=_name_of_path), indent=2)
        for name, data in files.items():
            (self._folder / name).write_bytes(data)
        return trained

    def _net(self) -> NetFitting:
        from edgeml.trainers.keras_fitting import NetFitting, NetSamples

        wanted = self._training.model
        assert not isinstance(wanted, Sklearn)
        net: Net = wanted
        problem, train, validation = self._problem, self._parts.train, self._parts.validation
        samples = NetSamples(
            problem.x[train], self._wanted(train), problem.x[validation], self._wanted(validation),
            pixels=problem.data.inputs.ndim > 2,
        )  # fmt: skip
        classes = None if problem.classes is None else len(problem.classes)
        return NetFitting(net, self._training.fit or Fit(), samples, classes=classes, seed=self._training.seed)

    def _wanted(self, positions: np.ndarray) -> np.ndarray:
        """What a net should give: positions of classes ``[samples]``, or values ``[samples, size]``."""
        if self._problem.task == "reconstruction":
            return self._problem.x[positions]
        target = taken(self._problem.target, positions)
        if self._problem.classes is not None:
            place = {label: i for i, label in enumerate(self._problem.classes.tolist())}
            return np.array([place[label] for label in target.tolist()])
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
            except Exception as error:  # skops names no error of its own
                raise InputError(
                    f"model: skops cannot save it: {error}", fix="leave out the part that it names."
                ) from error
        path = self._folder / "model.keras"
        model.save(path)
        return {path.name: path.read_bytes()}

    def _pictures(self, metrics: TrainingMetrics, best: int | None) -> dict[str, bytes]:
        from edgeml.trainers.pictures import confusion_picture, curves_picture

        found = {}
        if best is not None:
            assert self._fitting is not None
            found["curves.png"] = curves_picture(self._history, best, standardized=self._fitting.standardized)
        if metrics.confusion is not None and self._problem.classes is not None:
            found["confusion.png"] = confusion_picture(metrics.confusion, self._problem.classes.tolist())
        return found


def _name_of_path(value: Any) -> str:
    """Files by their names alone: where they lie says nothing of what was learnt."""
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"{type(value).__name__} cannot be written to {SUMMARY}")
